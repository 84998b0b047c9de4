// Train a model with K-FAC: one line differs from any other optimizer. Run it with: dotnet run samples/quickstart.cs
#:project ../src/Amari.Workbench/Amari.Workbench.csproj
#:property UsesLibTorch=true
#:property PublishAot=false
using Amari;
using Amari.Workloads.Data;
using TorchSharp;
using static TorchSharp.torch;

random.manual_seed(1);
using var data = Digits.Load();
using var model = nn.Sequential(("flatten", nn.Flatten()), ("fc1", nn.Linear(64, 64)), ("tanh", nn.Tanh()), ("fc2", nn.Linear(64, 10)));
using var optimizer = new Kfac(model, new() { LearningRate = 0.1, Damping = 1e-2 }, new Categorical());

for (int epoch = 1; epoch <= 10; epoch++)
{
    double sum = 0;
    int batches = 0;
    for (long start = 0; start + 128 <= data.Train.Count; start += 128, batches++)
    {
        using var scope = NewDisposeScope();
        optimizer.zero_grad();
        var loss = nn.functional.cross_entropy(
            model.call(data.Train.Inputs.narrow(0, start, 128)),
            data.Train.Targets.narrow(0, start, 128)
        );
        loss.backward();
        optimizer.step();
        sum += loss.ToDouble();
    }
    Console.WriteLine($"epoch {epoch, 2}: loss {sum / batches:F4}");
}
Console.Write(optimizer.Coverage);
