// An equation of your own, solved by a network. Build it, then
//   amari train --assembly samples/OwnEquation/bin/Release/net10.0/OwnEquation.dll --optimizer levenberg-marquardt
using Amari.Jets;
using Amari.Workloads;
using TorchSharp;
using static System.Math;
using static TorchSharp.torch;

namespace OwnEquation;

public sealed class Helmholtz : PdeWorkload
{
    private const double K = 3;

    public override string Name => "helmholtz";
    public override string Equation => "Δu + 9u = (9 - 5π²) sin πx sin 2πy on the unit square, u = 0 on its boundary";
    public override Box Domain { get; } = Box.Unit(2);

    public override IReadOnlyList<Condition> Conditions =>
        [
            new(
                "equation",
                Region.Interior,
                JetSpec.Laplacian(2),
                (u, x) => u.Laplacian + K * K * u.Value - (K * K - 5 * PI * PI) * Solution(x)
            ),
            new("boundary", Region.Boundary, JetSpec.Value(2), (u, x) => u.Value),
        ];

    public override Tensor Solution(Tensor points) =>
        (PI * points.select(1, 0)).sin().mul((2 * PI * points.select(1, 1)).sin()).unsqueeze(1);
}
