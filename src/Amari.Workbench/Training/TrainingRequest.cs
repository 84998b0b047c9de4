using Amari.Serialization;
using Amari.Workloads;

namespace Amari.Training;

/// <summary>The arguments of <see cref="Trainer.Train"/>.</summary>
internal sealed record TrainingRequest(
    OptimizerChoice Choice,
    int Seed,
    Budget Budget,
    IProgress<RunProgress>? Progress = null,
    CheckpointOptions? Checkpoint = null,
    Action<nn.Module<Tensor, Tensor>, LossPoint>? Evaluated = null,
    MonitorOptions? Monitor = null,
    IProgress<MonitorLine>? Monitored = null
);
