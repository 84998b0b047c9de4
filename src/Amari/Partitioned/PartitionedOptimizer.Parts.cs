namespace Amari;

/// <content>The two optimizers of a group, made of its options and following them.</content>
public sealed partial class PartitionedOptimizer
{
    private Part PartOf(ParameterGroup<Options> group, Options options, IReadOnlyList<CoverageRow> rows)
    {
        var parted = group.Parameters.Zip(rows).ToLookup(p => p.Second.Block == nameof(AdamW), p => p.First);
        return new(
            group,
            rows,
            parted[false].Any() ? MatrixOptimizer([.. parted[false]], group, options) : null,
            parted[true].Any()
                ? Grouped<AdamW.Options>([.. parted[true]], group, options, o => Scaled(o.Fallback, o), g => new AdamW([g]))
                : null
        );
    }

    private static T Scaled<T>(T inner, Options options)
        where T : OptimizerOptions => inner with { LearningRate = inner.LearningRate * options.LearningRate };

    private Member MatrixOptimizer(IReadOnlyList<(string, Parameter)> parameters, ParameterGroup<Options> group, Options options)
    {
        switch (options.MatrixOptimizer)
        {
            case Muon.Options:
                return Grouped<Muon.Options>(parameters, group, options, Own<Muon.Options>, g => new Muon([g]));
            case Soap.Options:
                return Grouped<Soap.Options>(parameters, group, options, Own<Soap.Options>, g => new Soap([g]));
            case Shampoo.Options:
                return Grouped<Shampoo.Options>(parameters, group, options, Own<Shampoo.Options>, g => new Shampoo([g]));
            default:
                var kfac = new Kfac(_model, parameters, Own<Kfac.Options>(options), _likelihood);
                return new(kfac, o => kfac.Follow(Own<Kfac.Options>(o) with { Fallback = Scaled(o.Fallback, o) }));
        }

        static T Own<T>(Options o)
            where T : OptimizerOptions =>
            o.MatrixOptimizer is T matrices
                ? Scaled(matrices, o)
                : throw new InvalidOperationException(
                    $"The matrix method of a group cannot change to {o.MatrixOptimizer.GetType().DeclaringType!.Name}."
                );
    }

    private static Member Grouped<T>(
        IReadOnlyList<(string, Parameter)> parameters,
        ParameterGroup<Options> group,
        Options options,
        Func<Options, T> own,
        Func<ParameterGroup<T>, Optimizer> make
    )
        where T : OptimizerOptions
    {
        var inner = new ParameterGroup<T>(parameters, own(options)) { Module = group.Module, IsPart = true };
        return new(make(inner), o => inner.Options = own(o));
    }
}
