using System.Reflection.Metadata;
using System.Reflection.PortableExecutable;
using System.Runtime.CompilerServices;
using Amari.Cli.Commands;
using Amari.Native;
using Parameter = TorchSharp.Modules.Parameter;

namespace Amari.Tests.Native;

/// <summary>Derivatives whose errors are exceptions: TorchSharp's own numbers, and no other way to them.</summary>
public sealed class ReverseModeTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public ReverseModeTests() => manual_seed(5);

    public void Dispose() => _scope.Dispose();

    private static Parameter Leaf(ScalarType type, params long[] shape) => nn.Parameter(randn(shape, dtype: type));

    [Theory, InlineData(ScalarType.Float32), InlineData(ScalarType.Float64)]
    public void The_numbers_are_those_of_autograd_bit_for_bit(ScalarType type)
    {
        var (w, v, unused) = (Leaf(type, 3, 4), Leaf(type, 4), Leaf(type, 2));
        Tensor[] outputs = [w.mv(v).tanh(), (w * w).exp().sum([0L])],
            cotangents = [randn(3, dtype: type), randn(4, dtype: type)];
        Tensor[] inputs = [w, v, unused];
        var theirs = autograd.grad([.. outputs], [.. inputs], [.. cotangents], retain_graph: true, create_graph: true, allow_unused: true);
        var mine = ReverseMode.Derivative(outputs, inputs, cotangents, createGraph: true);
        Assert.Null(mine[2]);
        Same(theirs.Take(2), mine.Take(2));

        Tensor[] second = [mine[0]!.sum() + mine[1]!.square().sum()];
        Same(autograd.grad([.. second], [w, v], retain_graph: true), ReverseMode.Derivative(second, [w, v], again: true));
        Same(ReverseMode.Derivative(second, [w, v], again: true), ReverseMode.Derivative(second, [w, v]));
        Assert.Throws<InvalidOperationException>(() => ReverseMode.Derivative(second, [w, v])); // the graph was not to be kept
        Assert.Empty(ReverseMode.Derivative(outputs, []));
        Assert.Equal([null], ReverseMode.Derivative([v.sum()], [unused]));

        static void Same(IEnumerable<Tensor?> expected, IEnumerable<Tensor?> value) =>
            Assert.All(expected.Zip(value), p => Assert.True(p.First!.detach().equal(p.Second!.detach()).all().ToBoolean()));
    }

    [Fact]
    public void Tensors_belong_to_the_scope_of_the_caller_and_none_is_left()
    {
        var w = Leaf(ScalarType.Float32, 4);
        for (int i = 0; i < 3; i++)
            Once();
        long before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        for (int i = 0; i < 50; i++)
            Once();
        Assert.Equal(before, DisposeScopeManager.Statistics.ThreadTotalLiveCount);

        void Once()
        {
            using var scope = NewDisposeScope();
            var g = ReverseMode.Derivative([w.square().sum()], [w], createGraph: true)[0]!;
            _ = ReverseMode.Derivative([g], [w], [ones_like(g)]);
            Assert.Throws<InvalidOperationException>(() => ReverseMode.Derivative([g], [w], [ones_like(g)]));
        }
    }

    [Fact]
    public void Threads_do_not_disturb_one_another() =>
        Parallel.For(
            0,
            8,
            i =>
            {
                using var scope = NewDisposeScope();
                var w = nn.Parameter(full(3, i, dtype: ScalarType.Float64));
                for (int k = 0; k < 20; k++)
                {
                    Assert.Equal(6.0 * i, ReverseMode.Derivative([w.square().sum()], [w])[0]!.sum().ToDouble());
                    Assert.Contains(
                        "shape",
                        Assert
                            .Throws<InvalidOperationException>(() =>
                                ReverseMode.Derivative([w * 1], [w], [ones(2, dtype: ScalarType.Float64)])
                            )
                            .Message,
                        StringComparison.Ordinal
                    );
                }
            }
        );

    [Fact]
    public void Errors_say_what_is_wrong_and_what_to_do()
    {
        var w = Leaf(ScalarType.Float64, 2);
        Says(
            "calls backward() itself",
            () =>
            {
                var loss = w.square().sum();
                loss.backward();
                return loss;
            },
            w
        );
        Says(
            "CPUDoubleType [2], output 0 of AddBackward1) was changed in place",
            () =>
            {
                var a = w.exp();
                var loss = (a * a).sum();
                a.add_(1);
                return loss;
            },
            w
        );
        Says("", () => w * 1, w, "grad can be implicitly created only for scalar outputs");
        var layer = nn.Linear(2, 1);
        Says(
            "Float64 where Float32",
            () => nn.functional.mse_loss(layer.call(randn(8, 2)), randn(8, 1, dtype: ScalarType.Float64)),
            layer.weight!
        );
        var (image, bag) = (Leaf(ScalarType.Float32, 1, 1, 4, 4), nn.EmbeddingBag(10, 4));
        Says(
            "grid_sample has no second derivative",
            () => Slope(nn.functional.grid_sample(image, rand(1, 2, 2, 2), align_corners: false), image),
            image
        );
        Says("EmbeddingBag has no second derivative", () => Slope(bag.call(randint(0, 10, [8, 5]), null, null), bag.weight!), bag.weight!);

        static Tensor Slope(Tensor output, Tensor input) =>
            ReverseMode.Derivative([output.square().sum()], [input], createGraph: true)[0]!.sum();

        static void Says(string expected, Func<Tensor> output, Tensor input, string? inner = null)
        {
            var failure = Assert.Throws<InvalidOperationException>(() => ReverseMode.Derivative([output()], [input]));
            Assert.Contains(inner ?? expected, failure.Message, StringComparison.Ordinal);
            Assert.DoesNotContain('\n', failure.Message);
            Assert.DoesNotContain("TorchScript", failure.Message, StringComparison.Ordinal);
            Assert.Contains(inner ?? "", failure.InnerException!.Message, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData(
        "the derivative for '_embedding_bag_backward' is not implemented.",
        "The operation EmbeddingBag has no second derivative, which"
    )]
    [InlineData(
        "derivative for aten::grid_sampler_2d_backward is not implemented",
        "The operation grid_sample has no second derivative, which"
    )]
    [InlineData("derivative for aten::histc is not implemented", "The operation histc has no derivative: ")]
    [InlineData("Found dtype Double but expected Half", "The gradient is Float64 where Float16 is needed")]
    [InlineData("something new.\nException raised from a:1 (most recent call first):", "The derivative cannot be computed: something new.")]
    public void What_libtorch_says_becomes_one_sentence(string reason, string expected)
    {
        foreach (
            string trace in (string[])
                ["", "The following operation failed in the TorchScript interpreter.\nTraceback:\n ~~~ <--- HERE\nRuntimeError: "]
        )
        {
            var failure = DerivativeFailure.Of(new InvalidOperationException(trace + reason));
            Assert.StartsWith(expected, failure.Message, StringComparison.Ordinal);
            Assert.Equal(reason.Split('\n')[0], failure.InnerException!.Message);
        }
    }

    /// <summary>TorchSharp's autograd.grad and matmul end the process at any error.</summary>
    [Fact]
    public void Nothing_calls_what_has_no_catch()
    {
        foreach (var type in (Type[])[typeof(AdamW), typeof(Amari.Cli.Commands.CommandLine)])
        {
            using var file = new PEReader(File.OpenRead(type.Assembly.Location));
            var metadata = file.GetMetadataReader();
            var called = metadata
                .MemberReferences.Select(metadata.GetMemberReference)
                .Where(m =>
                    m.Parent.Kind == HandleKind.TypeReference
                    && metadata.GetString(metadata.GetTypeReference((TypeReferenceHandle)m.Parent).Name) == "autograd"
                )
                .Select(m => metadata.GetString(m.Name))
                .ToList();
            Assert.DoesNotContain("grad", called);
            Assert.DoesNotContain("matmul", metadata.MemberReferences.Select(m => metadata.GetString(metadata.GetMemberReference(m).Name)));
        }
        string root = Path.Combine(Folder(), "..", "..", "..");
        foreach (string folder in (string[])["src", "samples", "benchmarks"])
        foreach (string source in Directory.GetFiles(Path.Combine(root, folder), "*.cs", SearchOption.AllDirectories))
            Assert.DoesNotContain("autograd.grad(", File.ReadAllText(source), StringComparison.Ordinal);
    }

    private static string Folder([CallerFilePath] string path = "") => Path.GetDirectoryName(path)!;
}
