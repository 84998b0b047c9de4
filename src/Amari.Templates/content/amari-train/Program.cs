// Trains a model of your own with K-FAC, or with AdamW: dotnet run -c Release [kfac|adamw]. A second run goes on from the best weights.
using Amari;
using Amari.Serialization;
using TorchSharp;
using static TorchSharp.torch;

const int Epochs = 20,
    BatchSize = 128;
if (args is not ([] or ["kfac"] or ["adamw"]))
    return Refuse($"The arguments are '{string.Join(' ', args)}'; they must be kfac, adamw or none.");
string method = args is [var name] ? name : "kfac";

random.manual_seed(1);
var (x, y) = Data(count: 4096, seed: 1); // [n, 2] and classes [n]: replace them by yours
var (heldOutX, heldOutY) = Data(count: 512, seed: 2);
using var model = nn.Sequential(
    ("fc1", nn.Linear(2, 32)),
    ("tanh1", nn.Tanh()),
    ("fc2", nn.Linear(32, 32)),
    ("tanh2", nn.Tanh()),
    ("fc3", nn.Linear(32, 2))
);
using Optimizer optimizer = method == "adamw" ? new AdamW(model, new() { LearningRate = 1e-2 }) : new Kfac(model, null, new Categorical());

// Each checkpoint is one file with the model and the optimizer. It is written completely or not at all.
using var checkpoints = new CheckpointDirectory($"{method}-checkpoints");
using var newest = checkpoints.Load(out var damaged);
if (damaged is [var why, ..])
    return Refuse($"{why} Nothing was changed: move the file away to go on from the one before, or from the start.");
try
{
    newest?.CopyTo(model, optimizer);
}
catch (InvalidDataException e)
{
    return Refuse($"{e.Message} Nothing was changed: move {method}-checkpoints away to train from the start.");
}
long trained = newest?.Step ?? 0; // epochs

double best = Validate();
for (long epoch = trained + 1; epoch <= trained + Epochs; epoch++)
{
    using var epochScope = NewDisposeScope();
    foreach (var rows in randperm(x.shape[0]).split(BatchSize))
    {
        using var scope = NewDisposeScope();
        optimizer.zero_grad();
        nn.functional.cross_entropy(model.call(x[rows]), y[rows]).backward();
        optimizer.step();
    }
    double heldOut = Validate();
    Console.WriteLine($"epoch {epoch, 2}: held-out loss {heldOut:F4}");
    if (heldOut < best)
    {
        best = heldOut;
        try
        {
            checkpoints.Save(epoch, model, optimizer);
        }
        catch (IOException e) // a full disk, or another run in the same folder
        {
            return Refuse(e.Message);
        }
    }
}
return 0;

int Refuse(string why)
{
    Console.Error.WriteLine(why);
    return 2;
}

double Validate()
{
    using var off = no_grad();
    using var scope = NewDisposeScope();
    return nn.functional.cross_entropy(model.call(heldOutX), heldOutY).ToDouble();
}

// Points in a square; is the point within a ring?
static (Tensor Inputs, Tensor Classes) Data(int count, int seed)
{
    using var generator = new Generator((ulong)seed);
    var points = rand([count, 2], generator: generator).mul_(2).sub_(1);
    var radius = points.square().sum([1L]).sqrt();
    return (points, radius.gt(0.4).logical_and(radius.lt(0.8)).to_type(ScalarType.Int64));
}
