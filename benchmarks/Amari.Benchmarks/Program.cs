using System.Diagnostics;
using Amari;
using Amari.Native;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;
Console.WriteLine($"{Amari.Native.TorchLibrary.Status.State} threads {get_num_threads()}");
var ps = Enumerable.Range(0, 400).Select(_ => nn.Parameter(zeros(2048))).ToArray();
foreach (var p in ps) p.grad = randn(2048);
void Time(string name, Action a, int inner = 1)
{
    var t = new double[101];
    for (int r = 0; r < 101; r++) { long s = Stopwatch.GetTimestamp(); for (int i = 0; i < inner; i++) a(); t[r] = Stopwatch.GetElapsedTime(s).TotalMicroseconds / inner; if (r<30) Thread.Sleep(5);}
    Array.Sort(t); Console.WriteLine($"{name,-20} {t[50]:F2} us, min {t[0]:F2}");
}
nint sink = 0;
Time("grad", () => { foreach (var p in ps) sink += LibTorch.Gradient(p.Handle); });
Time("data", () => { foreach (var p in ps) sink += LibTorch.DataPointer(p.Handle); });
Time("type", () => { foreach (var p in ps) sink += (nint)LibTorch.Type(p.Handle); });
Time("count", () => { foreach (var p in ps) sink += (nint)LibTorch.Count(p.Handle); });
Time("contig", () => { foreach (var p in ps) sink += LibTorch.IsContiguous(p.Handle) ? 1 : 0; });
Time("device", () => { foreach (var p in ps) sink += (nint)LibTorch.Device(p.Handle); });
Time("threads", () => { for (int i = 0; i < 400; i++) sink += get_num_threads(); });
using var o = new Amari.AdamW([ParameterGroup.Of(ps, new Amari.AdamW.Options())]);
Time("AdamW small", () => o.step());
using var l = new Lion([ParameterGroup.Of(ps, new Lion.Options())]);
Time("Lion small", () => l.step());
Time("zero", () => l.zero_grad());
l.MaxGradientNorm = 1;
Time("Lion small clip", () => l.step());
var big = nn.Parameter(zeros(25_000_000)); big.grad = randn(25_000_000);
using var ob = new Amari.AdamW([ParameterGroup.Of([big], new Amari.AdamW.Options())]);
Time("AdamW big", () => ob.step());
using var lb = new Lion([ParameterGroup.Of([big], new Lion.Options())]);
Time("Lion big", () => lb.step());
