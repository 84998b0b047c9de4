using Amari.Optimizers;
using Amari.Tests.Serialization;
using Amari.Tests.Training;
using static Amari.Tests.Serialization.PyTorchFixture;

namespace Amari.Tests.Optimizers;

/// <summary>States of PyTorch's optimizers after 3 steps, continued for 3 further ones, against PyTorch's parameters.</summary>
public sealed class PyTorchStateTests
{
    private const double Tolerance = 1e-6;

    /// <summary>The parameters that <c>make.py</c> trains; the second layer has no gradients.</summary>
    private sealed class Layers : IDisposable
    {
        public Linear Used { get; } = nn.Linear(3, 4);
        public Linear Unused { get; } = nn.Linear(2, 2);
        public IReadOnlyList<Parameter> All => [Used.weight, Used.bias!, Unused.weight, Unused.bias!];

        public ParameterGroup<T>[] Groups<T>(T options)
            where T : OptimizerOptions =>
            [
                new([("used.weight", Used.weight)], options),
                new([("used.bias", Used.bias!), ("unused.weight", Unused.weight), ("unused.bias", Unused.bias!)], options),
            ];

        public void Dispose()
        {
            Used.Dispose();
            Unused.Dispose();
        }
    }

    private static void Continues(string name, Func<Layers, Optimizer> make)
    {
        using var layers = new Layers();
        var expected = Of(name);
        using var off = no_grad();
        foreach (var (parameter, before) in layers.All.Zip(expected.GetProperty("before").EnumerateArray()))
            parameter.copy_(Read(before));
        using var optimizer = make(layers);
        optimizer.Load(PathOf(name));
        foreach (var gradients in expected.GetProperty("gradients").EnumerateArray())
        {
            foreach (var (parameter, gradient) in layers.All.Zip(gradients.EnumerateArray()))
                parameter.grad = Read(gradient).to_type(ScalarType.Float32);
            optimizer.step();
        }
        foreach (var (parameter, after) in layers.All.Zip(expected.GetProperty("after").EnumerateArray()))
            Assert.InRange(parameter.sub(Read(after)).abs().max().ToDouble(), 0, Tolerance);
    }

    [Fact]
    public void AdamW_continues() => Continues("adamw.pt", l => new AdamW(l.Groups(new AdamW.Options())));

    [Fact]
    public void Adam_continues() => Continues("adam.pt", l => new Adam(l.Groups(new Adam.Options())));

    /// <summary>The decay of PyTorch's is not decoupled, whatever the options were.</summary>
    [Fact]
    public void Sgd_with_momentum_continues() => Continues("sgd.pt", l => new Sgd(l.Groups(new Sgd.Options { DecoupledDecay = true })));

    [Fact]
    public void Sgd_without_momentum_continues() => Continues("sgd-plain.pt", l => new Sgd(l.All));

    [Fact]
    public void The_rate_of_schedulers_is_that_of_the_file()
    {
        using var layers = new Layers();
        using var optimizer = new Sgd(layers.All);
        optimizer.Load(PathOf("sgd-plain.pt"));
        Assert.Equal(0.05, optimizer.Groups[0].LearningRate, 1e-8); // saved as a tensor
        Assert.Equal(0.2, optimizer.Groups[0].InitialLearningRate);
    }

    [Fact]
    public void Options_are_those_of_the_file_and_others_stay()
    {
        using var layers = new Layers();
        using var optimizer = new AdamW(layers.Groups(new AdamW.Options { CautiousDecay = true }));
        optimizer.Load(PathOf("adamw.pt"));
        var expected = new AdamW.Options
        {
            CautiousDecay = true,
            LearningRate = 0.02,
            WeightDecay = 0.1,
            Beta1 = 0.8,
            Beta2 = 0.95,
        };
        Assert.Equal(expected, optimizer.Groups[0].Options);
        expected = new()
        {
            CautiousDecay = true,
            LearningRate = 0.01,
            Epsilon = 1e-3,
            AmsGrad = true,
            Maximize = true,
        };
        Assert.Equal(expected, optimizer.Groups[1].Options);
        Assert.Equal(0.02, optimizer.Groups[0].InitialLearningRate);
    }

    [Fact]
    public void The_state_in_a_training_checkpoint_is_found()
    {
        using var model = nn.Sequential(("conv", nn.Conv2d(1, 2, 3)), ("norm", nn.BatchNorm2d(2)), ("fc", nn.Linear(8, 3)));
        using var optimizer = new Adam(model);
        optimizer.Load(PathOf("checkpoint.pt"));
        Assert.Equal(0.01, optimizer.Groups[0].Options.LearningRate);
        Assert.Equal(1, (long)optimizer.Snapshot().Values["steps"]!["fc.bias"]!);
    }

    [Fact]
    public void States_that_do_not_fit_change_nothing()
    {
        using var layers = new Layers();
        using var adamW = new AdamW(layers.Groups(new AdamW.Options()));
        Refused("The state from PyTorch has no number 'betas' in group 0.", adamW, "sgd.pt");
        Refused("The file holds no state of an optimizer, with state and param_groups.", adamW, "model.pt");
        Refused("posix.system", adamW, "malicious.pt");
        using var sgd = new Sgd(layers.Groups(new Sgd.Options()));
        Refused("has no number 'momentum' in group 0.", sgd, "adamw.pt");
        Refused("has 1 parameter groups, the optimizer has 2.", sgd, "sgd-plain.pt");
        using var fewer = new Sgd(layers.Used);
        Refused("has another number of parameters in group 0, which has 2 here.", fewer, "sgd-plain.pt");
        (string, Parameter)[] rest = [("b", layers.Used.weight), ("c", layers.Unused.weight), ("d", layers.Unused.bias!)];
        using var other = new AdamW([new([("a", layers.Used.bias!)], new()), new(rest, new())]);
        Refused("'a.FirstMoment' has the shape [4, 3], expected [4].", other, "adamw.pt");
        using var lion = new Lion(layers.Used);
        Refused("States of PyTorch are read by AdamW, Adam, Sgd, not by Lion.", lion, "adamw.pt");
        Assert.Equal(new AdamW.Options(), adamW.Groups[0].Options);
        Assert.Equal(0, adamW.StateBytes);

        static void Refused(string expected, Optimizer optimizer, string name) =>
            Assert.Contains(expected, Assert.Throws<InvalidDataException>(() => optimizer.Load(PathOf(name))).Message);
    }
}
