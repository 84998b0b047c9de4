using System.Globalization;

namespace Amari.Distributed;

/// <summary>The environment variables that a launcher (mpirun, mpiexec, srun) sets, readable before an MPI library is loaded.</summary>
public static class Launcher
{
    private static readonly string[] Ranks = ["OMPI_COMM_WORLD_RANK", "PMI_RANK", "PMIX_RANK"];
    private static readonly string[] Sizes = ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS", "SLURM_NTASKS"];
    private static readonly string[] LocalSizes = ["OMPI_COMM_WORLD_LOCAL_SIZE", "MPI_LOCALNRANKS", "SLURM_NTASKS_PER_NODE"];

    /// <summary>Whether a launcher started this process.</summary>
    public static bool IsPresent => Number(Ranks) is not null;

    /// <summary>The index of this process in the job, from 0; 0 without a launcher.</summary>
    public static int Rank => Number(Ranks) ?? 0;

    /// <summary>Number of processes in the job; 1 without a launcher.</summary>
    public static int Size => IsPresent ? Number(Sizes) ?? 1 : 1;

    /// <summary>Number of processes of the job on this machine, if the launcher reports it.</summary>
    public static int LocalSize => IsPresent ? Math.Max(1, Number(LocalSizes) ?? 1) : 1;

    /// <summary>Threads per process, so that the processes of this machine together use each core once. A launcher's core binding is
    /// respected.</summary>
    public static int FairThreads
    {
        get
        {
            const string processors = "/sys/devices/system/cpu"; // all processors; ProcessorCount counts only those of the binding
            int all = Directory.Exists(processors)
                ? Directory
                    .GetDirectories(processors, "cpu*")
                    .Count(d => int.TryParse(Path.GetFileName(d)[3..], CultureInfo.InvariantCulture, out _))
                : Environment.ProcessorCount;
            return Math.Max(1, Math.Min(Environment.ProcessorCount, Math.Max(all, Environment.ProcessorCount) / LocalSize));
        }
    }

    /// <summary>Open MPI's own launcher, or one with PMIx, which Slurm uses for Open MPI.</summary>
    internal static bool IsOpenMpi =>
        Environment.GetEnvironmentVariable(Ranks[0]) is not null
        || (Environment.GetEnvironmentVariable(Ranks[1]) is null && Environment.GetEnvironmentVariable(Ranks[2]) is not null);

    private static int? Number(string[] names) =>
        names
            .Select(Environment.GetEnvironmentVariable)
            .Select(text => int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int n) ? n : (int?)null)
            .FirstOrDefault(n => n is not null);
}
