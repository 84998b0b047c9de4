namespace Amari.Optimizers;

/// <summary>A parameter group by the options that are read, whatever record they are a part of.</summary>
/// <typeparam name="TOptions">The options' record or a base of it.</typeparam>
internal interface IParameterGroup<out TOptions> : optim.ILearningRateController, optim.IMomentum
    where TOptions : OptimizerOptions
{
    /// <inheritdoc cref="ParameterGroup{TOptions}.Parameters"/>
    IReadOnlyList<(string Name, Parameter Parameter)> Parameters { get; set; }

    /// <inheritdoc cref="ParameterGroup{TOptions}.Options"/>
    TOptions Options { get; }

    /// <inheritdoc cref="ParameterGroup{TOptions}.MomentumCut"/>
    Action<string>? MomentumCut { get; set; }

    /// <inheritdoc cref="ParameterGroup{TOptions}.IsNumbered"/>
    bool IsNumbered { get; }

    /// <inheritdoc cref="ParameterGroup{TOptions}.Rename"/>
    void Rename(nn.Module model);
}
