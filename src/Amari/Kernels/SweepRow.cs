using Amari.Native;

namespace Amari.Kernels;

/// <summary>What a sweep knows of a parameter from its last step; the default value knows nothing.</summary>
/// <remarks>Addresses are kept of the states alone, which the optimizer owns. Parameter and gradient may change in any way between steps:
/// their addresses are read again each time, and their headers must equal those that passed the checks.</remarks>
internal struct SweepRow
{
    public TensorHeader Parameter,
        Gradient;
    public nint State0,
        State1,
        State2,
        Scales0,
        Scales1;
    public long Length;
    public ScalarType StateType;
    public bool IsBFloat16;
}
