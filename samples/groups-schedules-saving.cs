// Coming from TorchSharp's optimizers: groups, a schedule, saving and loading. Run it with: dotnet run samples/groups-schedules-saving.cs
#:project ../src/Amari.Workbench/Amari.Workbench.csproj
#:property UsesLibTorch=true
#:property PublishAot=false
using Amari;
using Amari.Serialization;
using Amari.Workloads.Data;
using TorchSharp;
using static TorchSharp.torch;
using Parameter = TorchSharp.Modules.Parameter;

random.manual_seed(1);
using var data = Digits.Load();
using var model = Network();
using var optimizer = Make(model);
var schedule = optim.lr_scheduler.OneCycleLR(optimizer, [0.01, 0.01], total_steps: 20);

Train(model, optimizer, schedule, epochs: 5);

// Save weights and state in one file, load them into a copy, and continue both bit by bit.
string folder = Directory.CreateTempSubdirectory("amari-").FullName;
var checkpoints = new CheckpointDirectory(folder);
checkpoints.Save(step: 5, model, optimizer);

using var copy = Network();
using var resumed = Make(copy);
using (var newest = checkpoints.Load(out _)!)
    newest.CopyTo(copy, resumed); // the options and rates of the groups are part of the state
checkpoints.Dispose();
Directory.Delete(folder, recursive: true);

Train(model, optimizer, null, epochs: 1);
Train(copy, resumed, null, epochs: 1);
bool same = model.parameters().Zip(copy.parameters()).All(p => p.First.eq(p.Second).all().ToBoolean());
Console.WriteLine($"training the copy gave {(same ? "the same weights" : "OTHER weights")}");
return same ? 0 : 1;

static nn.Module<Tensor, Tensor> Network() =>
    nn.Sequential(("flatten", nn.Flatten()), ("fc1", nn.Linear(64, 64)), ("relu", nn.ReLU()), ("fc2", nn.Linear(64, 10)));

// To decay only the matrices, make two groups, as with torch's parameter groups.
static AdamW Make(nn.Module model)
{
    Parameter[] matrices = [.. model.parameters().Where(p => p.dim() > 1)],
        others = [.. model.parameters().Where(p => p.dim() <= 1)];
    return new([
        ParameterGroup.Of(
            matrices,
            new AdamW.Options
            {
                LearningRate = 3e-3,
                WeightDecay = 0.05,
                AmsGrad = true,
            }
        ),
        ParameterGroup.Of(
            others,
            new AdamW.Options
            {
                LearningRate = 3e-3,
                WeightDecay = 0,
                AmsGrad = true,
            }
        ),
    ]);
}

void Train(nn.Module<Tensor, Tensor> network, AdamW adamW, optim.lr_scheduler.LRScheduler? rates, int epochs)
{
    for (int epoch = 1; epoch <= epochs; epoch++)
    {
        double sum = 0;
        int batches = 0;
        for (long start = 0; start + 128 <= data.Train.Count; start += 128, batches++)
        {
            using var scope = NewDisposeScope();
            adamW.zero_grad();
            var loss = nn.functional.cross_entropy(
                network.call(data.Train.Inputs.narrow(0, start, 128)),
                data.Train.Targets.narrow(0, start, 128)
            );
            loss.backward();
            adamW.step();
            sum += loss.ToDouble();
        }
        rates?.step();
        Console.WriteLine($"epoch {epoch}: loss {sum / batches:F4}, rate {adamW.Groups[0].LearningRate:G3}");
    }
}
