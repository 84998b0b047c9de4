using System.Runtime.InteropServices;
using Amari.Native;

namespace Amari.Tests.Native;

/// <summary>matmul with errors that are exceptions, and the numbers of the native function. A failure here may end the process.</summary>
public sealed unsafe class GuardedProductTests : IDisposable
{
    private static readonly delegate* unmanaged<nint, nint, nint> Native = (delegate* unmanaged<nint, nint, nint>)Export(
        "THSTensor_matmul"
    );

    private readonly DisposeScope _scope = NewDisposeScope();

    public GuardedProductTests()
    {
        Assert.Null(TorchLibrary.Status.Unguarded);
        manual_seed(3);
    }

    public void Dispose() => _scope.Dispose();

    private static nint Export(string name)
    {
        NativeLibrary.TryLoad("LibTorchSharp", typeof(torch).Assembly, null, out var library);
        return NativeLibrary.GetExport(library, name);
    }

    public static TheoryData<long[], long[]> Shapes =>
        new()
        {
            { [4], [4] },
            { [3, 4], [4] },
            { [4], [4, 5] },
            { [3, 4], [4, 5] },
            { [2, 3, 4], [4] },
            { [4], [2, 4, 5] },
            { [2, 3, 4], [4, 5] },
            { [3, 4], [2, 4, 5] },
            { [2, 3, 4], [2, 4, 5] },
            { [1, 3, 4], [2, 4, 5] },
            { [6, 2, 3, 4], [2, 4, 5] },
            { [6, 1, 3, 4], [2, 4, 5] },
            { [2, 1, 3, 4], [7, 4, 5] },
            { [0, 3, 4], [4, 5] },
            { [2, 3, 0], [0, 5] },
            { [200, 64, 64], [64, 64] },
        };

    [Theory, MemberData(nameof(Shapes))]
    public void Values_and_gradients_are_those_of_the_native_function_bit_for_bit(long[] left, long[] right)
    {
        foreach (var type in (ScalarType[])[ScalarType.Float32, ScalarType.Float64, ScalarType.BFloat16, ScalarType.Float16])
        {
            foreach (bool turned in (bool[])[false, true])
            {
                Tensor a = randn(left).to_type(type),
                    b = randn(right).to_type(type);
                if (turned && left.Length > 1)
                    a = a.mT.contiguous().mT;
                if (turned && right.Length > 1)
                    b = b.mT.contiguous().mT;
                var (c, d) = (a.clone().requires_grad_(), b.clone().requires_grad_());
                a.requires_grad_();
                b.requires_grad_();
                Tensor mine = a.matmul(b),
                    theirs = Tensor.UnsafeCreateTensor(Native(c.Handle, d.Handle));
                Same(theirs, mine);
                var cotangent = randn(mine.shape).to_type(type);
                mine.backward([cotangent]);
                theirs.backward([cotangent]);
                Same(c.grad!, a.grad!);
                Same(d.grad!, b.grad!);
            }
        }

        static void Same(Tensor expected, Tensor value)
        {
            Assert.Equal(expected.shape, value.shape);
            Assert.Equal(expected.dtype, value.dtype);
            Assert.True(expected.detach().equal(value.detach()).all().ToBoolean());
        }
    }

    [Fact]
    public void Integers_sparse_and_complex_operands_pass_through()
    {
        var whole = ones([2, 2, 3], ScalarType.Int64).matmul(ones([2, 3, 4], ScalarType.Int64));
        Assert.Equal(ScalarType.Int64, whole.dtype);
        Assert.Equal(48, whole.sum().ToInt64());
        Assert.Equal(
            48,
            ones([2, 2, 3], ScalarType.ComplexFloat32).matmul(ones([2, 3, 4], ScalarType.ComplexFloat32)).sum().real.ToSingle()
        );
        Assert.Equal(24, eye(2).to_sparse().matmul(full(2, 6, 2f)).sum().ToSingle());
    }

    public static TheoryData<long[], ScalarType, long[], ScalarType, string> Faults =>
        new()
        {
            { [2, 3], ScalarType.Float32, [2, 3], ScalarType.Float32, "mat1 and mat2 shapes cannot be multiplied (2x3 and 2x3)" },
            {
                [2, 3],
                ScalarType.Float32,
                [3, 2],
                ScalarType.Float64,
                "expected m1 and m2 to have the same dtype, but got: float != double"
            },
            { [2, 3], ScalarType.Float32, [2], ScalarType.Float32, "size mismatch, got input (2), mat (2x3), vec (2)" },
            { [3], ScalarType.Float32, [2], ScalarType.Float32, "inconsistent tensor size" },
            { [3], ScalarType.Float32, [2, 3], ScalarType.Float32, "mat1 and mat2 shapes cannot be multiplied (1x3 and 2x3)" },
            { [3], ScalarType.Float32, [3, 2], ScalarType.Float64, "expected m1 and m2 to have the same dtype, but got: float != double" },
            {
                [],
                ScalarType.Float32,
                [2, 3],
                ScalarType.Float32,
                "both arguments to matmul need to be at least 1D, but they are 0D and 2D"
            },
            {
                [2, 3],
                ScalarType.Float32,
                [],
                ScalarType.Float32,
                "both arguments to matmul need to be at least 1D, but they are 2D and 0D"
            },
            { [2, 2, 3], ScalarType.Float32, [2, 3], ScalarType.Float32, "mat1 and mat2 shapes cannot be multiplied (4x3 and 2x3)" },
            {
                [2, 2, 3],
                ScalarType.Float32,
                [2, 2, 3],
                ScalarType.Float32,
                "Expected size for first two dimensions of batch2 tensor to be: [2, 3] but got: [2, 2]"
            },
            {
                [2, 2, 3],
                ScalarType.Float32,
                [3, 3, 3],
                ScalarType.Float32,
                "The size of tensor a (2) must match the size of tensor b (3) at non-singleton dimension 0"
            },
            { [4, 2, 2, 3], ScalarType.Float64, [2, 3, 3], ScalarType.Float32, "expected scalar type Double but found Float" },
            { [2, 2, 3], ScalarType.Bool, [2, 3, 3], ScalarType.Bool, "not implemented for 'Bool'" },
        };

    [Theory, MemberData(nameof(Faults))]
    public void What_does_not_fit_is_an_exception_in_the_words_of_libtorch(
        long[] left,
        ScalarType leftType,
        long[] right,
        ScalarType rightType,
        string words
    )
    {
        var (a, b) = (ones(left, leftType), ones(right, rightType));
        foreach (Func<Tensor> product in (Func<Tensor>[])[() => a.matmul(b), () => torch.matmul(a, b)])
            Assert.Contains(words, Assert.Throws<ExternalException>(product).Message.Split('\n')[0], StringComparison.Ordinal);
        Assert.Equal(6, ones(2, 3).matmul(ones(3)).sum().ToSingle()); // nothing is left over
    }

    [Fact]
    public void A_result_beyond_memory_is_an_exception()
    {
        var row = ones(1, 1).expand(1, 1L << 31); // takes no memory; the products would take exbibytes
        Assert.Throws<ExternalException>(() => row.mT.matmul(row));
        Assert.Throws<ExternalException>(() => row.unsqueeze(0).mT.matmul(row.unsqueeze(0)));
        var wide = ones(1, 1).expand(1, 1L << 24);
        Assert.Throws<ExternalException>(() => wide.unsqueeze(0).mT.matmul(wide)); // a pebibyte
    }

    [Fact]
    public void Inference_tensors_that_meet_gradients_are_an_exception()
    {
        Tensor still;
        using (inference_mode())
            still = ones(2, 3, 4);
        Assert.Throws<ExternalException>(() => still.matmul(ones(4, 2).requires_grad_()));
    }

    [Fact]
    public void Threads_get_their_own_errors_while_another_collects()
    {
        bool done = false;
        var collector = new Thread(() =>
        {
            while (!Volatile.Read(ref done))
            {
                GC.Collect();
                Thread.Sleep(1);
            }
        });
        collector.Start();
        Parallel.For(
            2,
            6,
            width =>
            {
                for (int i = 0; i < 20; i++)
                {
                    using var scope = NewDisposeScope();
                    var (a, b, c) = (ones(2, width, 7), ones(8, 3), ones(7, 3));
                    var error = Assert.Throws<ExternalException>(() => a.matmul(b));
                    Assert.StartsWith(
                        $"mat1 and mat2 shapes cannot be multiplied ({2 * width}x7 and 8x3)",
                        error.Message,
                        StringComparison.Ordinal
                    );
                    Assert.Equal(2 * width * 7 * 3, a.matmul(c).sum().ToSingle());
                }
            }
        );
        Volatile.Write(ref done, true);
        collector.Join();
    }

    [Fact]
    public void Nothing_stays_behind()
    {
        long before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        using (NewDisposeScope())
        {
            for (int i = 0; i < 3; i++)
            {
                Assert.Throws<ExternalException>(() => ones(2, 2, 3).matmul(ones(2, 3)));
                ones([2, 2, 3], ScalarType.Int64).matmul(ones([3, 3], ScalarType.Int64));
            }
        }
        Assert.Equal(before, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
    }
}
