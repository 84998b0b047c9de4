using Amari.Native;
using Amari.Serialization;
using Amari.Tests.Training;

namespace Amari.Tests.Optimizers;

/// <summary>Checkpoints of a model and its optimizer, in a loop of one's own.</summary>
public sealed class ModelCheckpointTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    private static nn.Module<Tensor, Tensor> Network(int hidden = 4) =>
        nn.Sequential(("fc1", nn.Linear(3, hidden)), ("tanh1", nn.Tanh()), ("fc2", nn.Linear(hidden, 2)));

    private static void Step(nn.Module<Tensor, Tensor> model, Optimizer optimizer)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(1);
        optimizer.zero_grad();
        nn.functional.cross_entropy(model.call(randn([8, 3], generator: generator)), arange(8).remainder(2)).backward();
        optimizer.step();
    }

    [Theory, InlineData(false), InlineData(true)]
    public void Training_continues_bit_by_bit(bool isKfac)
    {
        using var scope = NewDisposeScope();
        var (model, copy) = (Network(), Network());
        using var optimizer = Make(model);
        using var directory = new CheckpointDirectory(_folder.Path);
        for (int i = 0; i < 3; i++)
            Step(model, optimizer);
        directory.Save(3, model, optimizer);
        Assert.Single(Directory.GetFiles(_folder.Path, "*.safetensors"));

        using var resumed = Make(copy);
        using (var checkpoint = directory.Load(out var refused)!)
        {
            Assert.Empty(refused);
            Assert.Equal(3, checkpoint.Step);
            checkpoint.CopyTo(copy, resumed);
        }
        Step(model, optimizer);
        Step(copy, resumed);
        Assert.All(model.parameters().Zip(copy.parameters()), p => Assert.Equal(p.First.Elements<float>(), p.Second.Elements<float>()));

        Optimizer Make(nn.Module<Tensor, Tensor> of) =>
            isKfac ? new Amari.Kfac(of, null, new Categorical()) : new AdamW(of, new() { LearningRate = 1e-2 });
    }

    [Fact]
    public void What_does_not_fit_is_refused()
    {
        using var scope = NewDisposeScope();
        var (model, wide) = (Network(), Network(5));
        using var adamW = new AdamW(model);
        using var directory = new CheckpointDirectory(_folder.Path);
        Step(model, adamW);
        directory.Save(1, model, adamW);
        using var checkpoint = directory.Load(out _)!;
        using var ofWide = new AdamW(wide);
        Refuses("it has other shapes", () => checkpoint.CopyTo(wide, ofWide));
        using var lion = new Lion(model);
        Refuses("The state is of the optimizer AdamW, not of Lion", () => checkpoint.CopyTo(model, lion));

        var weights = model.state_dict().ToDictionary(t => "model." + t.Key, t => t.Value);
        directory.Save(2, weights, new Dictionary<string, string>());
        using var newest = directory.Load(out _)!;
        Refuses("no state of an optimizer", () => newest.CopyTo(model, adamW));

        static void Refuses(string expected, Action copy) =>
            Assert.Contains(expected, Assert.Throws<InvalidDataException>(copy).Message, StringComparison.Ordinal);
    }
}
