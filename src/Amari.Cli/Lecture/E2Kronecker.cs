using Amari.Kronecker;
using Amari.Reporting;
using Amari.Training;

namespace Amari.Cli.Lecture;

/// <summary>E2: the two identities of the Kronecker product that K-FAC uses.</summary>
/// <remarks><code>
/// (A ⊗ B)(C ⊗ D) = AC ⊗ BD
/// (A ⊗ B)⁻¹ = A⁻¹ ⊗ B⁻¹,   (A ⊗ G)⁻¹ vec(V) = vec(G⁻¹ V A⁻¹)
/// </code></remarks>
internal sealed class E2Kronecker() : LectureItem("E2", "Identities of the Kronecker product")
{
    public override LectureResult Run(int seed)
    {
        var table = new LectureTable("identity", "sizes", "relative error");
        var checks = new List<Check>();
        void Add(string identity, string sizes, Tensor left, Tensor right)
        {
            double error = (left - right).norm().ToDouble() / right.norm().ToDouble();
            table.Add(identity, sizes, error);
            checks.Add(Check.Near($"{identity}, {sizes}", error, 0));
        }

        const string product = "(A x B)(C x D) = AC x BD";
        Tensor[] d = [.. Enumerable.Range(0, 4).Select(_ => Random(2))];
        Add(product, "diagonal 2x2", Diagonal(d[0], d[1]).mm(Diagonal(d[2], d[3])), Diagonal(d[0] * d[2], d[1] * d[3]));
        Add("diag(a) x diag(b) = diag(a1 b1, a1 b2, a2 b1, a2 b2)", "2x2", Diagonal(d[0], d[1]), d[0].outer(d[1]).reshape(-1).diag());
        Rows(product, "square 2x2", Random(2, 2), Random(2, 2), Random(2, 2), Random(2, 2));
        Rows(product, "3x4, 2x5, 4x2, 5x3", Random(3, 4), Random(2, 5), Random(4, 2), Random(5, 3));

        Tensor a = Positive(3),
            g = Positive(4),
            v = Random(4, 3);
        var both = kron(a, g);
        Add("(A x G)^-1 = A^-1 x G^-1", "3x3, 4x4", linalg.inv(both), kron(linalg.inv(a), linalg.inv(g)));
        // vec stacks columns
        Add(
            "(A x G)^-1 vec V = vec(G^-1 V A^-1)",
            "3x3, 4x4",
            linalg.inv(both).mv(v.t().reshape(-1)),
            linalg.inv(g).mm(v).mm(linalg.inv(a)).t().reshape(-1)
        );
        const double damping = 0.1;
        using var inverse = EigenbasisInverse.Of(a, g, null).Inverse;
        Add(
            "K-FAC's inverse is (A x G + 0.1 I)^-1",
            "3x3, 4x4",
            inverse.Apply(v, damping).t().reshape(-1),
            linalg.inv(both + damping * eye(12, dtype: ScalarType.Float64)).mv(v.t().reshape(-1))
        );
        return new(
            [table],
            checks,
            [Draw(a, g)],
            "The inverse of a 12 x 12 Kronecker product follows from a 3 x 3 and a 4 x 4 inverse: K-FAC never forms the large matrix."
        );

        void Rows(string identity, string sizes, Tensor a, Tensor b, Tensor c, Tensor e) =>
            Add(identity, sizes, kron(a, b).mm(kron(c, e)), kron(a.mm(c), b.mm(e)));
    }

    private static Tensor Random(params long[] shape) => randn(shape, dtype: ScalarType.Float64);

    private static Tensor Diagonal(Tensor a, Tensor b) => kron(a.diag(), b.diag());

    private static Tensor Positive(long n)
    {
        var x = Random(n, 3 * n);
        return x.mm(x.t()) / (3 * n);
    }

    private static Figure Draw(Tensor a, Tensor g)
    {
        (string Name, Tensor Matrix)[] matrices =
        [
            ("A", a),
            ("G", g),
            ("A ⊗ G", kron(a, g)),
            ("A⁻¹", linalg.inv(a)),
            ("G⁻¹", linalg.inv(g)),
            ("A⁻¹ ⊗ G⁻¹ = (A ⊗ G)⁻¹", kron(linalg.inv(a), linalg.inv(g))),
        ];
        return new(
            "E2-kronecker",
            [
                .. matrices.Select(m =>
                {
                    var panel = Figure.Panel($"{m.Name}   {m.Matrix.shape[0]} x {m.Matrix.shape[0]}", "column", "row");
                    Figure.Matrix(panel, Figure.Array(m.Matrix));
                    return panel;
                }),
            ]
        )
        {
            Columns = 3,
            Size = (1800, 1060),
        };
    }
}
