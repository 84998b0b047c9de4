namespace Amari.Tests.Optimizers;

/// <summary>Moments in few bits, seen in full by an optimizer of a user's own.</summary>
public sealed class ParameterStateTests
{
    /// <summary>A heavy ball that may fail.</summary>
    private sealed class Ball(IEnumerable<ParameterGroup<Ball.Options>> groups) : GroupedOptimizer<Ball.Options, Ball.State>(groups)
    {
        public sealed record Options() : MomentumOptions(learningRate: 0.1);

        public sealed record State([property: Moment] Tensor Velocity) : ParameterState;

        public bool Fails { get; set; }

        public List<ScalarType> Seen { get; } = [];

        protected override State CreateState(Parameter parameter, Options options) => new(ZeroState(parameter));

        protected override void Update(Tensor parameter, Tensor gradient, State state, Options options)
        {
            Seen.Add(state.Velocity.dtype);
            state.Velocity.mul_(0.9).add_(gradient);
            if (Fails)
                throw new InvalidOperationException("It fails.");
            WeightStep.Apply(parameter, gradient, state.Velocity, options);
        }
    }

    private static Ball Make(Parameter[] parameters, StateFormat format) =>
        new([ParameterGroup.Of(parameters, new Ball.Options { StateFormat = format, Cautious = true })]);

    [Theory, InlineData(ScalarType.Float32), InlineData(ScalarType.Float64), InlineData(ScalarType.BFloat16)]
    public void An_update_sees_moments_of_the_dtype_that_it_computes_in(ScalarType type)
    {
        foreach (var format in Enum.GetValues<StateFormat>())
        {
            var p = Problem.Parameters(Trajectory.Shapes, type);
            using var o = Make(p, format);
            Problem.Steps(o, p, 0, 2);
            Assert.All(o.Seen, seen => Assert.Equal(type == ScalarType.Float64 ? type : ScalarType.Float32, seen));
        }
    }

    [Theory, InlineData(StateFormat.BFloat16), InlineData(StateFormat.BlockwiseInt8)]
    public void An_update_that_throws_leaves_small_moments_as_they_were(StateFormat format)
    {
        var p = Problem.Parameters(Trajectory.Shapes);
        using var o = Make(p, format);
        Problem.Steps(o, p, 0, 3);
        double[] Kept() => Problem.Values(o.Snapshot().Tensors.OrderBy(t => t.Key, StringComparer.Ordinal).Select(t => t.Value));
        double[] before = Kept();
        o.Fails = true;
        Assert.Throws<InvalidOperationException>(() => Problem.Steps(o, p, 3, 4));
        Assert.Equal(before, Kept());
        o.Fails = false;
        Problem.Steps(o, p, 3, 4);
        Assert.NotEqual(before, Kept());
    }

    [Fact]
    public void Scales_are_called_after_their_moment()
    {
        var p = Problem.Parameters(Trajectory.Shapes);
        string[] Names(Optimizer o)
        {
            Problem.Steps(o, p, 0, 1);
            return [.. o.Snapshot().Tensors.Keys.Where(k => k.StartsWith("0.", StringComparison.Ordinal)).Select(k => k[2..])];
        }
        using var ball = Make(p, StateFormat.BlockwiseInt8);
        using var lion = new Lion(p, new() { StateFormat = StateFormat.BlockwiseInt8 });
        using var adamW = new AdamW(p, new() { StateFormat = StateFormat.BlockwiseInt8 });
        Assert.Equal(["Velocity", "VelocityScales"], Names(ball));
        Assert.Equal(["Momentum", "Scales"], Names(lion));
        Assert.Equal(["FirstMoment", "SecondMoment", "FirstScales", "SecondScales"], Names(adamW));
    }

    [Fact]
    public void Reading_moments_does_not_round_them_again()
    {
        var p = Problem.Parameters(Trajectory.Shapes);
        using var o = new Sophia([ParameterGroup.Of(p, new Sophia.Options { StateFormat = StateFormat.BlockwiseInt8 })]);
        OptimizerCases.Measure(o, 1);
        Problem.Steps(o, p, 0, 3);
        double[] Kept() => Problem.Values(o.Snapshot().Tensors.Select(t => t.Value));
        double[] before = Kept();
        Assert.InRange(o.ClippedShare(), 0, 1);
        Assert.Equal(before, Kept());
    }
}
