using Amari.Curvature;
using Amari.Native;
using Amari.Ranks;
using Amari.Spectrum;
using Amari.Tests.SecondOrder;
using Amari.Training;
using Amari.Verification;

namespace Amari.Tests.Contracts;

/// <summary>Functions and models without the derivative that a method needs: an exception that names the cause, where TorchSharp's own
/// call would end the process.</summary>
public sealed class DerivativeErrorTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public DerivativeErrorTests() => manual_seed(3);

    public void Dispose() => _scope.Dispose();

    public static TheoryData<string> Operators =>
        [
            "hessian",
            "gauss-newton",
            "fisher",
            "empirical fisher",
            "monte-carlo fisher",
            "block-diagonal hessian",
            "fisher diagonal",
            "k-fac",
        ];

    private static Tensor Apply(string name, Objective objective) =>
        name switch
        {
            "hessian" => new Hessian(objective).Apply(ones(objective.Parameters.Dimension, dtype: objective.Parameters.Type)),
            "gauss-newton" => new GaussNewton(objective).Apply(ones(objective.Parameters.Dimension, dtype: objective.Parameters.Type)),
            "fisher" => new Fisher(objective).Apply(ones(objective.Parameters.Dimension, dtype: objective.Parameters.Type)),
            "empirical fisher" => new Fisher(objective, FisherKind.Empirical).Apply(
                ones(objective.Parameters.Dimension, dtype: objective.Parameters.Type)
            ),
            "monte-carlo fisher" => new Fisher(objective, FisherKind.MonteCarlo).Apply(
                ones(objective.Parameters.Dimension, dtype: objective.Parameters.Type)
            ),
            "block-diagonal hessian" => new BlockDiagonal(new Hessian(objective)).Apply(
                ones(objective.Parameters.Dimension, dtype: objective.Parameters.Type)
            ),
            "fisher diagonal" => FisherDiagonal.Of(objective, 1, 0),
            _ => new KroneckerFactored(objective).Apply(ones(objective.Parameters.Dimension, dtype: objective.Parameters.Type)),
        };

    [Theory, MemberData(nameof(SecondOrderCases.Names), MemberType = typeof(SecondOrderCases))]
    public void An_operation_without_second_derivative_is_named(string name)
    {
        bool first = ((string[])["Lbfgs", "LevenbergMarquardt", "DampedGaussNewton"]).Any(n =>
            name.StartsWith(n, StringComparison.Ordinal)
        );
        foreach (
            var (model, x, operation) in (IEnumerable<(nn.Module<Tensor, Tensor>, Tensor, string)>)
                [(new Bag(), randint(0, 10, [12, 5]), "EmbeddingBag"), (new Grid(), randn(12, 1, 4, 4), "grid_sample")]
        )
        {
            using var optimizer = SecondOrderCases.Make(name, model);
            var before = Optimizers.Problem.Values(model.parameters());
            var failure = Record.Exception(() => optimizer.StepOnBatch(x, randint(0, 3, [12])));
            if (first)
            {
                Assert.Null(failure); // it takes no second derivative
                continue;
            }
            Assert.Contains(
                $"The operation {operation} has no second derivative",
                Assert.IsType<InvalidOperationException>(failure).Message,
                StringComparison.Ordinal
            );
            Assert.Equal(before, Optimizers.Problem.Values(model.parameters()));
            Assert.All(model.parameters(), p => Assert.Equal(0, LibTorch.Gradient(p.Handle)));
        }
    }

    [Theory, MemberData(nameof(Operators))]
    public void Operators_say_so_too(string name)
    {
        var objective = new Objective(new Bag(), new Categorical(), [(randint(0, 10, [6, 5]), randint(0, 3, [6]))]);
        var failure = Record.Exception(() => Apply(name, objective));
        if (name is "fisher diagonal" or "k-fac")
            Assert.Null(failure);
        else
            Assert.Contains(
                "EmbeddingBag has no second derivative",
                Assert.IsType<InvalidOperationException>(failure).Message,
                StringComparison.Ordinal
            );
        var mixed = new Objective(nn.Linear(2, 1), new Gaussian(), [(randn(8, 2), randn(8, 1, dtype: ScalarType.Float64))]);
        Lives(() => Apply(name, mixed));
        var edited = new Objective(new Edits(), new Categorical(), [(randn(6, 4), randint(0, 3, [6]))]);
        Assert.Contains("changed in place", Assert.ThrowsAny<Exception>(() => Apply(name, edited)).ToString(), StringComparison.Ordinal);
    }

    [Theory, MemberData(nameof(SecondOrderCases.Names), MemberType = typeof(SecondOrderCases))]
    public void Targets_of_another_type_are_an_exception_or_taken(string name)
    {
        using var optimizer = SecondOrderCases.Make(name, SecondOrderCases.Model(), new Gaussian());
        var failure = Record.Exception(() => optimizer.StepOnBatch(randn(12, 4), randn(12, 3, dtype: ScalarType.Float64)));
        if (failure is not null)
            Names(failure);
    }

    private static void Names(Exception failure)
    {
        Assert.True(failure is InvalidOperationException or ArgumentException, failure.ToString());
        Assert.Contains("Float64", failure.Message, StringComparison.Ordinal);
        Assert.Contains("Float32", failure.Message, StringComparison.Ordinal);
    }

    private static void Lives(Func<object?> act)
    {
        if (Record.Exception(() => act()) is { } failure)
            Names(failure);
    }

    [Fact]
    public void Diagonals_by_Hutchinson_name_the_operation_and_a_monitor_goes_on_without()
    {
        var (x, y) = (randint(0, 10, [8, 5]), randint(0, 3, [8]));
        var model = new Bag();
        using var ada = new AdaHessian(model, new Categorical());
        using var sophia = new Sophia(model, new Categorical(), new() { Estimate = DiagonalEstimate.Hutchinson });
        foreach (var optimizer in (Optimizer[])[ada, sophia])
            Assert.Contains(
                "EmbeddingBag",
                Assert.Throws<InvalidOperationException>(() => optimizer.UpdateCurvature(x, y)).Message,
                StringComparison.Ordinal
            );

        using var monitor = new Amari.Training.CurvatureMonitor(
            model,
            new Categorical(),
            x,
            y,
            options: new()
            {
                Quantities =
                    Amari.Training.MonitorQuantities.Sharpness
                    | Amari.Training.MonitorQuantities.Spectrum
                    | Amari.Training.MonitorQuantities.Noise,
            }
        );
        var row = monitor.Measure(0)!;
        Assert.Equal((double.NaN, 0), (row.Sharpness!.Value, row.Eigenvalues!.Count));
        Assert.NotNull(row.NoiseScale);
        Assert.NotNull(monitor.Measure(1));
    }

    [Fact]
    public void A_convolution_that_is_edited_after_its_call_is_an_exception()
    {
        var model = new EditedConvolution();
        var objective = new Objective(model, new Categorical(), [(randn(4, 2, 4, 4), randint(0, 3, [4]))]);
        Assert.Contains(
            "modified by an inplace operation",
            Assert
                .Throws<System.Runtime.InteropServices.ExternalException>(() =>
                    new Fisher(objective).Apply(ones(objective.Parameters.Dimension))
                )
                .Message,
            StringComparison.Ordinal
        );
        model.Edit = false;
        Assert.True(new Fisher(objective).Apply(ones(objective.Parameters.Dimension)).isfinite().all().ToBoolean());
    }

    private static Tensor Bowl(Tensor w) => (w[0] - 3).square() + 10 * (w[1] + 1).square() + 0.1 * (w[0] * w[1]).square();

    /// <summary>The closure that torch's L-BFGS wants; one for which gradients may be off; and one that returns a number alone.</summary>
    [Theory, InlineData("plain"), InlineData("where gradients are on"), InlineData("detached"), InlineData("kept")]
    public void Lbfgs_takes_a_closure_that_calls_backward(string kind)
    {
        var (mine, other) = (nn.Parameter(tensor(new[] { 0.0, 0.0 })), nn.Parameter(tensor(new[] { 0.0, 0.0 })));
        using Lbfgs optimizer = new([mine], new() { LearningRate = 0.1 }),
            plain = new([other], new() { LearningRate = 0.1 });
        for (int i = 0; i < 3; i++)
        {
            using var loss = optimizer.step(Closure);
            using var expected = plain.step(() => Bowl(other));
            Assert.Equal(expected.ToDouble(), loss.ToDouble());
            Assert.Equal(Optimizers.Problem.Values([other]), Optimizers.Problem.Values([mine]));
        }

        Tensor Closure()
        {
            optimizer.zero_grad();
            var loss = Bowl(mine);
            if (kind != "where gradients are on" || loss.requires_grad)
                loss.backward(retain_graph: kind == "kept");
            return kind == "detached" ? loss.detach() : loss;
        }
    }

    [Fact]
    public void Methods_of_second_derivatives_say_what_a_closure_must_not_do()
    {
        var w = nn.Parameter(tensor(new[] { 1.0, 2.0 }));
        foreach (var optimizer in (SecondOrderOptimizer[])[new Newton([w]), new SaddleFreeNewton([w]), new NewtonCg([w])])
        foreach (bool detached in (bool[])[false, true])
        {
            string message = Assert
                .Throws<InvalidOperationException>(() =>
                    optimizer.step(() =>
                    {
                        optimizer.zero_grad();
                        var loss = Bowl(w);
                        loss.backward();
                        return detached ? loss.detach() : loss;
                    })
                )
                .Message;
            Assert.Contains("calls backward() itself", message, StringComparison.Ordinal);
            Assert.Contains("use Lbfgs", message, StringComparison.Ordinal);
            Assert.Equal([1.0, 2.0], Optimizers.Problem.Values([w]));
        }
        using var lbfgs = new Lbfgs([w]);
        Assert.Contains("null", Assert.Throws<InvalidOperationException>(() => lbfgs.step(() => null!)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_function_that_calls_backward_has_a_loss_and_a_gradient()
    {
        var w = nn.Parameter(tensor(new[] { 1.0, 2.0 }));
        var layout = new ParameterLayout([("w", w)]);
        Objective Calling() =>
            new(
                () =>
                {
                    var loss = Bowl(w);
                    loss.backward();
                    return loss;
                },
                layout
            );
        var plain = new Objective(() => Bowl(w), layout);
        Assert.Equal(plain.Loss(), Calling().Loss());
        var calling = Calling();
        w.grad = tensor(new[] { 7.0, 8.0 }); // not the function's
        Assert.Equal(plain.Gradient().Gradient.Elements<double>(), calling.Gradient().Gradient.Elements<double>());
        Assert.Equal(plain.Loss(), calling.Loss());
        Assert.Throws<InvalidOperationException>(() => new Hessian(calling).Apply(ones(2, dtype: ScalarType.Float64)));
        Assert.Equal([7, 8], w.grad!.Elements<double>());
    }

    private sealed class Grid : nn.Module<Tensor, Tensor>
    {
        private readonly Linear _where = nn.Linear(16, 8),
            _linear = nn.Linear(4, 3);

        public Grid()
            : base(nameof(Grid)) => RegisterComponents();

        public override Tensor forward(Tensor x) =>
            _linear.call(nn.functional.grid_sample(x, _where.call(x.flatten(1)).tanh().view(-1, 2, 2, 2), align_corners: false).flatten(1));
    }

    private sealed class Edits : nn.Module<Tensor, Tensor>
    {
        private readonly Linear _linear = nn.Linear(4, 3);

        public Edits()
            : base(nameof(Edits)) => RegisterComponents();

        public override Tensor forward(Tensor x)
        {
            var h = _linear.call(x).exp();
            var f = h * h;
            using (no_grad())
                h.add_(1);
            return f;
        }
    }

    private sealed class EditedConvolution : nn.Module<Tensor, Tensor>
    {
        private readonly Conv2d _conv = nn.Conv2d(2, 2, 3);
        private readonly Linear _linear = nn.Linear(8, 3);

        public EditedConvolution()
            : base(nameof(EditedConvolution)) => RegisterComponents();

        public bool Edit { get; set; } = true;

        public override Tensor forward(Tensor x)
        {
            var y = _conv.call(x);
            using (no_grad())
                if (Edit)
                    _conv.weight!.add_(0);
            return _linear.call(y.flatten(1));
        }
    }
}
