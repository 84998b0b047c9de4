using System.Text.Json;
using Amari.Curvature;
using Amari.Verification;

namespace Amari.Tests.KfacOptimizer;

/// <summary>K-FAC's state: saved and restored, and moved with its model.</summary>
public sealed class KfacStateTests : MixedModelTest
{
    public static TheoryData<FisherKind, DampingMethod> Kinds =>
        new(
            from f in Enum.GetValues<FisherKind>()
            from d in Enum.GetValues<DampingMethod>()
            where (f, d) != (FisherKind.ForwardOnly, DampingMethod.Ekfac)
            select (f, d)
        );

    [Theory, MemberData(nameof(Kinds))]
    public void Resumed_run_equals_an_uninterrupted_one_bit_for_bit(FisherKind fisher, DampingMethod damping)
    {
        var options = Base with
        {
            Curvature = Base.Curvature with
            {
                Fisher = FisherOptions.Of(fisher),
                Inverse = InverseOptions.Of(damping),
                Refresh = Base.Curvature.Refresh with { InverseInterval = 7, FactorInterval = 3 },
            },
        };
        string file = Path.Combine(Path.GetTempPath(), Path.GetRandomFileName());
        var (whole, first, second) = (Model(), Model(), Model());
        using var straight = new Kfac(whole, options, new Categorical());
        for (int i = 0; i < 20; i++)
            Next(whole, straight, i);
        using (var before = new Kfac(first, options, new Categorical()))
        {
            for (int i = 0; i < 11; i++)
                Next(first, before, i);
            before.Save(file);
        }
        using (no_grad())
            foreach (var (p, q) in second.parameters().Zip(first.parameters()))
                p.copy_(q);
        using var after = new Kfac(
            second,
            new()
            {
                LearningRate = 0.3,
                Fallback = new() { LearningRate = 0.02 },
            },
            new Categorical()
        );
        after.Load(file);
        File.Delete(file);
        for (int i = 11; i < 20; i++)
            Next(second, after, i);
        Assert.Equal(Optimizers.Problem.Values(whole.parameters()), Optimizers.Problem.Values(second.parameters()));
        Assert.Equal(
            JsonSerializer.Serialize(straight.Snapshot().Values["options"]),
            JsonSerializer.Serialize(after.Snapshot().Values["options"])
        );

        static void Next(nn.Module<Tensor, Tensor> model, Kfac optimizer, int i)
        {
            Step(model, optimizer, i);
            optimizer.Group.LearningRate *= 0.9; // as a schedule does: the fall-back follows
        }
    }

    [Fact]
    public void State_of_another_model_is_refused()
    {
        var model = nn.Sequential(("a", nn.Linear(4, 4)));
        using var other = new Kfac(model);
        model.call(randn(3, 4)).sum().backward();
        other.step();
        using var optimizer = new Kfac(nn.Sequential(("a", nn.Linear(5, 4))));
        Assert.Throws<InvalidDataException>(() => optimizer.Restore(other.Snapshot()));
        using var third = new Kfac(nn.Sequential(("b", nn.Linear(4, 4))));
        Assert.Throws<InvalidDataException>(() => third.Restore(other.Snapshot()));
    }

    [Fact]
    public void State_of_another_likelihood_is_refused_and_changes_nothing()
    {
        var (model, other) = (Model(), Model());
        var empirical = Base with { Curvature = Base.Curvature with { Fisher = FisherOptions.Of(FisherKind.Empirical) } };
        using var with = new Kfac(model, empirical, new Categorical());
        using var without = new Kfac(other, empirical);
        Step(model, with, 0);
        Step(other, without, 0);
        string before = JsonSerializer.Serialize(without.Snapshot().Values);
        var error = Assert.Throws<InvalidDataException>(() => without.Restore(with.Snapshot()));
        Assert.Contains("with the likelihood Categorical, not without a likelihood", error.Message, StringComparison.Ordinal);
        Assert.Equal(before, JsonSerializer.Serialize(without.Snapshot().Values));
        Assert.Throws<InvalidDataException>(() => with.Restore(without.Snapshot()));
        var older = with.Snapshot();
        older.Values.Remove("likelihood"); // of a state that does not say
        with.Restore(older);
    }

    [Theory, InlineData(DampingMethod.FactoredTikhonov), InlineData(DampingMethod.Ekfac)]
    public void State_moves_to_a_device(DampingMethod method)
    {
        var (model, moved) = (Model(), Model());
        using var a = new Kfac(
            model,
            Base with
            {
                Curvature = Base.Curvature with { Inverse = InverseOptions.Of(method) },
            },
            new Categorical()
        );
        using var b = new Kfac(
            moved,
            Base with
            {
                Curvature = Base.Curvature with { Inverse = InverseOptions.Of(method) },
            },
            new Categorical()
        );
        for (int i = 0; i < 6; i++)
        {
            Step(model, a, i);
            Step(moved, b, i);
            b.to(CPU); // where it is
        }
        Assert.Equal(Optimizers.Problem.Values(model.parameters()), Optimizers.Problem.Values(moved.parameters()));
        var shapes = b.Snapshot().Tensors.ToDictionary(t => t.Key, t => (t.Value.dtype, string.Join(",", t.Value.shape)));
        b.to(META);
        var state = b.Snapshot().Tensors;
        Assert.All(state.Where(t => t.Key != "generator"), t => Assert.Equal(DeviceType.META, t.Value.device_type));
        Assert.Equal(shapes, state.ToDictionary(t => t.Key, t => (t.Value.dtype, string.Join(",", t.Value.shape))));
    }

    [Fact]
    public void Other_types_follow_the_module()
    {
        var model = Model();
        using var optimizer = new Kfac(model, Base with { LearningRate = 1e-3 }, new Categorical());
        Step(model, optimizer, 1);
        model.to(ScalarType.Float64);
        for (int i = 2; i < 14; i++)
            Step(model, optimizer, i);
        Assert.All(Optimizers.Problem.Values(model.parameters()), v => Assert.True(double.IsFinite(v)));
    }

    /// <summary>With a fall-back (the embedding), whose gradients are summed before anything else follows the model; new, and with a
    /// state.</summary>
    [Theory, InlineData(0), InlineData(2)]
    public void Follows_a_model_that_moves_before_a_step_without_zero_grad(int steps)
    {
        using var scope = NewDisposeScope();
        manual_seed(3);
        var model = nn.Sequential(("a", nn.Linear(8, 5)), ("p", nn.PReLU(5)), ("b", nn.Linear(5, 3)));
        using var optimizer = new Kfac(model, Base with { LearningRate = 1e-3 }, new Categorical());
        Assert.Contains(optimizer.Coverage.Rows, r => r.Block == "AdamW");
        void Train(ScalarType type)
        {
            new Categorical().Loss(model.call(randn(6, 8).to_type(type)), randint(0, 3, [6])).backward();
            optimizer.step();
        }
        for (int i = 0; i < steps; i++)
            Train(ScalarType.Float32);
        model.to(ScalarType.Float64);
        Train(ScalarType.Float64);
        Assert.All(optimizer.Group.Parameters, p => Assert.Equal(ScalarType.Float64, p.Parameter.dtype));
        optimizer.Restore(optimizer.Snapshot());
        Train(ScalarType.Float64);
        Assert.Equal(0, optimizer.SkippedSteps);
        Assert.All(Optimizers.Problem.Values(model.parameters()), v => Assert.True(double.IsFinite(v)));
    }
}
