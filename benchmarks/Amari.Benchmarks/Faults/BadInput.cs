using Amari.Training;

namespace Amari.Benchmarks.Faults;

/// <summary>Command lines with something wrong in them.</summary>
internal sealed class BadInput : IFaultKind
{
    private static readonly string[] Ways =
    [
        "",
        "unknown",
        "train nothing",
        "train --optimizer nothing",
        "train --epochs 0",
        "train --epochs -1",
        "train --epochs 1e3",
        "train --budget 0s",
        "train --budget -5s",
        "train --budget NaN",
        "train --threads 0",
        "train --threads x",
        "train --seed 1.5",
        "train --lr NaN",
        "train --lr -1",
        "train --lr x",
        "train --set damping",
        "train --set damping=x",
        "train --set damping=-1",
        "train --set nothing=1",
        "train --start nothing",
        "train --resume",
        "train --checkpoint /dev/null/x",
        "train --checkpoint-every 0s",
        "train --data nothing autoencoder",
        "train --assembly nothing.dll",
        "train --assembly /dev/null",
        "train --monitor nothing",
        "train --monitor-share 2",
        "train --monitor-examples 0",
        "train --rank-timeout 0s",
        "train --json /proc/x.json --epochs 1",
        "train --out /dev/null/x --epochs 1",
        "train --optimizer kfac --set momentum=1",
        "train --optimizer adamw --set beta1=1",
        "train --optimizer adamw --set beta2=2",
        "train --optimizer newton --set damping=inf",
        "compare --optimizers",
        "compare --optimizers nothing",
        "compare --optimizers adamw,adamw --epochs 0",
        "compare --seeds 0",
        "compare --tune -1",
        "spectrum digits-mlp --checkpoint nothing",
        "spectrum digits-mlp --checkpoint /dev",
        "landscape --checkpoint nothing",
        "verify --checkpoint nothing",
        "plan nothing",
        "lecture nothing",
        "info nothing",
    ];

    /// <inheritdoc/>
    public string Name => "input";

    /// <inheritdoc/>
    public string Promise => "a bad argument gives one clear sentence and exit code 2; no user error crashes the process";

    /// <inheritdoc/>
    public string? Missing => null;

    /// <inheritdoc/>
    public IEnumerable<Fault> Inject(string folder, Random random, int repeats)
    {
        foreach (string way in Ways)
        {
            string[] arguments = way.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            var (code, _, error) = Tool.Run(arguments);
            int lines = error.Split('\n', StringSplitOptions.RemoveEmptyEntries).Length;
            yield return new(
                $"amari {way}",
                code == 2 && lines == 1 || arguments.Length == 0 && code is 0 or 2 ? null : $"exit code {code}, {lines} lines: {error}"
            );
        }
    }
}
