using System.Globalization;

namespace Amari.Native;

/// <summary>What the threads of this process had of the processors, and what they waited for them while others ran; since the process
/// began, of threads that live.</summary>
/// <param name="Ran">Seconds of all threads.</param>
/// <param name="Waited">Seconds that they were ready to run and did not; null where the system does not tell (Linux does).</param>
internal readonly record struct CpuTime(double Ran, double? Waited)
{
    private const string Tasks = "/proc/self/task";

    /// <summary>Until now.</summary>
    public static CpuTime Now => new(Environment.CpuUsage.TotalTime.TotalSeconds, Sum()?.Waited);

    /// <summary>Of the threads that live now, by the scheduler's own count; null where the system does not tell.</summary>
    public static (double Ran, double Waited)? Sum()
    {
        if (!OperatingSystem.IsLinux() || !Directory.Exists(Tasks))
            return null;
        double ran = 0,
            waited = 0;
        bool any = false;
        foreach (string task in Directory.EnumerateDirectories(Tasks))
            try
            {
                string[] numbers = File.ReadAllText(task + "/schedstat").Split(' ');
                ran += 1e-9 * long.Parse(numbers[0], CultureInfo.InvariantCulture);
                waited += 1e-9 * long.Parse(numbers[1], CultureInfo.InvariantCulture);
                any = true;
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException or FormatException or IndexOutOfRangeException)
            {
                // a thread that has just ended, or a kernel that does not count
            }
        return any ? (ran, waited) : null;
    }
}
