using System.Diagnostics;

namespace Amari.Reporting;

/// <summary>Shows the progress of work in stages: on a terminal one line that is rewritten, otherwise a line from time to time.</summary>
internal sealed class StageView(TextWriter output) : IDisposable
{
    private const double TerminalSeconds = 0.1,
        PlainSeconds = 2;
    private readonly bool _terminal = ReferenceEquals(output, Console.Out) && !Console.IsOutputRedirected;
    private readonly Stopwatch _sinceLine = Stopwatch.StartNew();
    private readonly Stopwatch _stageTime = new();
    private string _stage = "";
    private int _width;

    /// <param name="stage">The current stage.</param>
    /// <param name="share">The completed share, 0..1.</param>
    /// <param name="detail">The progress, in words.</param>
    public void Report(string stage, double share, string detail)
    {
        if (stage != _stage)
        {
            End();
            (_stage, _width) = (stage, 0);
            _stageTime.Restart();
            if (!_terminal)
                output.WriteLine(stage + " ..");
        }
        if (_sinceLine.Elapsed.TotalSeconds < (_terminal ? TerminalSeconds : PlainSeconds))
            return;
        _sinceLine.Restart();
        double left = share > 0 ? _stageTime.Elapsed.TotalSeconds * (1 - share) / share : double.NaN;
        string line = FormattableString.Invariant($"{stage} {share, 4:P0}  {detail}{(left > 1 ? $"  about {left:F0} s left" : "")}");
        if (!_terminal)
        {
            output.WriteLine(line);
            return;
        }
        line = line.Length < Console.BufferWidth ? line : line[..Math.Max(0, Console.BufferWidth - 1)];
        output.Write("\r" + line.PadRight(_width));
        _width = line.Length;
    }

    private void End()
    {
        if (_width > 0)
            output.Write("\r" + new string(' ', _width) + "\r");
        _width = 0;
    }

    public void Dispose() => End();
}
