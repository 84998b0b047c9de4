namespace Amari.Reporting;

/// <summary>What the readers of a live view get at one moment, as server-sent events.</summary>
/// <param name="Version">Rises with every change.</param>
/// <param name="Progress">The event with the progress of the current run.</param>
/// <param name="PageVersion">Rises with every change of <paramref name="Page"/>.</param>
/// <param name="Page">The event with all results so far.</param>
/// <param name="IsLast">Whether the command has ended, which <paramref name="Progress"/> then says.</param>
internal sealed record LiveFrame(long Version, byte[] Progress, long PageVersion, byte[] Page, bool IsLast);
