using System.Runtime.InteropServices;
using Amari.Training;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Amari.Benchmarks;

/// <summary>libtorch's own fused AdamW, called as cheaply as can be: the CPU function behind <c>aten::_fused_adamw_</c> by its C++
/// symbol.</summary>
/// <remarks>Linux only. Arrays of tensors are arrays of one word each. The counters of steps are not advanced, which favours it.</remarks>
internal sealed unsafe class LibTorchFused
{
    // void at::cpu::_fused_adamw_(ArrayRef<Tensor> self, grads, exp_avgs, exp_avg_sqs, max_exp_avg_sqs, state_steps,
    //     double lr, beta1, beta2, weight_decay, eps, bool amsgrad, maximize, const optional<Tensor>& grad_scale, found_inf)
    private static readonly delegate* unmanaged<
        nint*,
        nint,
        nint*,
        nint,
        nint*,
        nint,
        nint*,
        nint,
        nint*,
        nint,
        nint*,
        nint,
        double,
        double,
        double,
        double,
        double,
        byte,
        byte,
        nint*,
        nint*,
        void> Step = Find();

    private readonly Tensor[] _first,
        _second,
        _steps;
    private readonly nint[] _w,
        _g,
        _m,
        _v,
        _t;

    public LibTorchFused(Parameter[] parameters)
    {
        _first = [.. parameters.Select(p => zeros(p.shape))];
        _second = [.. parameters.Select(p => zeros(p.shape))];
        _steps = [.. parameters.Select(_ => ones([]))];
        (_w, _m, _v, _t) = (Words(parameters), Words(_first), Words(_second), Words(_steps));
        _g = Words(parameters.Select(p => p.grad!));
    }

    public void Run()
    {
        nint* none = stackalloc nint[2] { 0, 0 };
        nint count = _w.Length;
        fixed (
            nint* w = _w,
                g = _g,
                m = _m,
                v = _v,
                t = _t
        )
            Step(w, count, g, count, m, count, v, count, null, 0, t, count, 1e-3, 0.9, 0.999, 0.01, 1e-8, 0, 0, none, none);
        GC.KeepAlive(this);
    }

    private static nint[] Words(IEnumerable<Tensor> tensors) => [.. tensors.Select(t => *(nint*)t.Handle)];

    private static delegate* unmanaged<
        nint*,
        nint,
        nint*,
        nint,
        nint*,
        nint,
        nint*,
        nint,
        nint*,
        nint,
        nint*,
        nint,
        double,
        double,
        double,
        double,
        double,
        byte,
        byte,
        nint*,
        nint*,
        void> Find() =>
        (delegate* unmanaged<
            nint*,
            nint,
            nint*,
            nint,
            nint*,
            nint,
            nint*,
            nint,
            nint*,
            nint,
            nint*,
            nint,
            double,
            double,
            double,
            double,
            double,
            byte,
            byte,
            nint*,
            nint*,
            void>)
            NativeLibrary.GetExport(
                NativeLibrary.Load("torch_cpu", typeof(torch).Assembly, null),
                "_ZN2at3cpu13_fused_adamw_EN3c108ArrayRefINS_6TensorEEES4_S4_S4_S4_S4_dddddbbRKSt8optionalIS3_ES8_"
            );
}
