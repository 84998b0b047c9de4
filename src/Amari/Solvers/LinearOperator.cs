using Amari.Kernels;
using Amari.Native;

namespace Amari.Solvers;

/// <summary>A symmetric linear map v → C v on R^d: the interface between curvature and the solvers, spectra and second-order
/// methods.</summary>
/// <remarks>Results are fresh tensors that the caller owns. Operators do not propagate gradients.</remarks>
public abstract class LinearOperator
{
    private const int DenseColumns = 128; // columns of a dense matrix computed at a time

    static LinearOperator()
    {
        ScalarRelease.Install();
        IdleThreads.Watch();
    }

    /// <summary>d.</summary>
    public abstract long Dimension { get; }

    /// <summary>The dtype of vectors.</summary>
    public abstract ScalarType Type { get; }

    /// <summary>The device of vectors.</summary>
    public virtual Device Device => CPU;

    /// <summary>C v, with the shape of v, contiguous.</summary>
    /// <param name="v">A vector [d] or k columns [d, k], of dtype <see cref="Type"/>, on <see cref="Device"/>.</param>
    /// <exception cref="ArgumentException">The shape or dtype is different.</exception>
    public Tensor Apply(Tensor v)
    {
        Check(v, nameof(v));
        using var scope = NewDisposeScope();
        return (v.dim() == 1 ? Columns(v.unsqueeze(1)).squeeze(1) : Columns(v).contiguous()).MoveToOuterDisposeScope();
    }

    /// <summary>A vector or columns are of this operator's dimension and dtype.</summary>
    /// <param name="v">What is checked.</param>
    /// <param name="name">Its name.</param>
    /// <param name="columns">How many they must be, 0 for a vector; null for a vector or any number.</param>
    internal void Check(Tensor v, string name, long? columns = null)
    {
        ArgumentNullException.ThrowIfNull(v, name);
        long? found =
            v.dtype != Type || v.dim() is not (1 or 2) || v.shape[0] != Dimension ? null
            : v.dim() == 1 ? 0
            : v.shape[1] > 0 ? v.shape[1]
            : null;
        if (found is not null && (columns ?? found) == found)
            return;
        string expected = columns switch
        {
            null => $"[{Dimension}] or [{Dimension}, k]",
            0 => $"[{Dimension}]",
            { } k => $"[{Dimension}, {k}]",
        };
        throw new ArgumentException($"{name} is {v.dtype} [{string.Join(", ", v.shape)}]; it must be {Type} {expected}.", name);
    }

    private Tensor Columns(Tensor v)
    {
        using var off = no_grad();
        var result = Product(v);
        if (!result.shape.AsSpan().SequenceEqual(v.shape) || result.dtype != Type)
            throw new InvalidOperationException(
                $"The product with {Type} [{string.Join(", ", v.shape)}] is {result.dtype} [{string.Join(", ", result.shape)}]; "
                    + "it must be of the same dtype and shape."
            );
        return IsFresh(result, v) ? result : result.clone();
    }

    /// <summary>Whether a result can be changed without another number of it, or the vector, changing too: the function v → v of a user
    /// gives no such one, nor does one that expands.</summary>
    private static bool IsFresh(Tensor result, Tensor v)
    {
        nint one = LibTorch.DataPointer(result.Handle),
            other = LibTorch.DataPointer(v.Handle);
        nint bytes = (nint)(v.numel() * v.ElementSize);
        bool isApart = one + bytes <= other || other + bytes <= one;
        return isApart && (result.is_contiguous() || result.stride().AsSpan().SequenceEqual([1, result.shape[0]]));
    }

    /// <summary>C v for vectors that are rows: [k, d]; the result is dense. Entries of one vector lie together, and its coefficient is the
    /// same for all of them.</summary>
    internal Tensor ApplyToRows(Tensor rows)
    {
        using var scope = NewDisposeScope();
        return Columns(rows.T).T.contiguous().MoveToOuterDisposeScope();
    }

    /// <summary>Begins a run of products: until the result is disposed, they may share work, as a curvature keeps the graphs of its
    /// batches. Every product is the same as outside of a run.</summary>
    /// <remarks>A run within a run is part of it. Operators that share nothing ignore it.</remarks>
    public virtual IDisposable BeginRun() => NoRun.Instance;

    private sealed class NoRun : IDisposable
    {
        public static readonly NoRun Instance = new();

        public void Dispose() { }
    }

    /// <summary>C V for V : [d, k], a fresh tensor. Solvers hold their vectors as rows: a result whose columns are dense is not
    /// copied.</summary>
    protected abstract Tensor Product(Tensor v);

    /// <summary>C as a matrix [d, d], for small d. It is also the oracle of tests.</summary>
    public virtual Tensor ToDense()
    {
        using var run = BeginRun();
        using var scope = NewDisposeScope();
        var identity = eye(Dimension, dtype: Type, device: Device);
        var columns = new List<Tensor>();
        for (long start = 0; start < Dimension; start += DenseColumns)
            columns.Add(Apply(identity.narrow(1, start, Math.Min(DenseColumns, Dimension - start))));
        return cat(columns, 1).MoveToOuterDisposeScope();
    }

    /// <summary>C + λ I.</summary>
    /// <param name="damping">λ; any finite number.</param>
    public LinearOperator Damped(double damping) => new Combination(this, 1, null, Require.Finite(damping));

    /// <summary>C₁ + C₂.</summary>
    public static LinearOperator operator +(LinearOperator left, LinearOperator right)
    {
        ArgumentNullException.ThrowIfNull(left);
        ArgumentNullException.ThrowIfNull(right);
        return new Combination(left, 1, right, 0);
    }

    /// <summary>s C.</summary>
    /// <param name="scale">s; any finite number.</param>
    /// <param name="op">C.</param>
    public static LinearOperator operator *(double scale, LinearOperator op)
    {
        ArgumentNullException.ThrowIfNull(op);
        return new Combination(op, Require.Finite(scale), null, 0);
    }

    /// <summary>A dense symmetric matrix [d, d] as an operator. Not owned.</summary>
    public static LinearOperator FromDense(Tensor matrix) => new Dense(matrix);

    /// <summary>A map given by a function from V : [d, k] to C V, of the same shape and dtype. It must not change V. Its result
    /// is copied.</summary>
    /// <param name="dimension">d ≥ 1.</param>
    /// <param name="type">The dtype of vectors.</param>
    /// <param name="product">V → C V.</param>
    public static LinearOperator FromFunction(long dimension, ScalarType type, Func<Tensor, Tensor> product)
    {
        ArgumentNullException.ThrowIfNull(product);
        return new Function(Require.AtLeast(1, dimension, nameof(dimension)), type, product);
    }

    /// <summary>The same map of float32 vectors where its own are shorter: for decompositions, which libtorch has for no shorter
    /// ones.</summary>
    internal LinearOperator AtLeastFloat32() => Type is ScalarType.BFloat16 or ScalarType.Float16 ? new Widened(this) : this;

    /// <summary>s C₁ + C₂ + λ I.</summary>
    private sealed class Combination(LinearOperator first, double scale, LinearOperator? second, double damping) : LinearOperator
    {
        private readonly LinearOperator? _second =
            second is null || (second.Dimension == first.Dimension && second.Type == first.Type)
                ? second
                : throw new ArgumentException(
                    $"Operators of dimensions {first.Dimension} and {second.Dimension} ({first.Type}, {second.Type}) cannot be added.",
                    nameof(second)
                );

        public override long Dimension => first.Dimension;
        public override ScalarType Type => first.Type;
        public override Device Device => first.Device;

        public override IDisposable BeginRun() => _second is null ? first.BeginRun() : new Both(first.BeginRun(), _second.BeginRun());

        private sealed class Both(IDisposable one, IDisposable other) : IDisposable
        {
            public void Dispose()
            {
                one.Dispose();
                other.Dispose();
            }
        }

        protected override Tensor Product(Tensor v)
        {
            var result = first.Columns(v); // not Apply: dense columns stay so
            if (scale != 1)
                result.mul_(scale);
            if (_second is not null)
                using (var other = _second.Columns(v))
                    result.add_(other);
            return damping == 0 ? result : result.add_(v, alpha: damping);
        }
    }

    private sealed class Dense(Tensor matrix) : LinearOperator
    {
        private readonly Tensor _matrix =
            matrix.dim() == 2 && matrix.shape[0] == matrix.shape[1]
                ? matrix
                : throw new ArgumentException($"The matrix is [{string.Join(", ", matrix.shape)}]; it must be [d, d].", nameof(matrix));

        public override long Dimension => _matrix.shape[0];
        public override ScalarType Type => _matrix.dtype;
        public override Device Device => _matrix.device;

        public override Tensor ToDense() => _matrix.clone();

        protected override Tensor Product(Tensor v) => _matrix.mm(v);
    }

    private sealed class Function(long dimension, ScalarType type, Func<Tensor, Tensor> product) : LinearOperator
    {
        public override long Dimension => dimension;
        public override ScalarType Type => type;

        protected override Tensor Product(Tensor v)
        {
            using var scope = NewDisposeScope();
            return product(v).clone().MoveToOuterDisposeScope(); // a user may keep it, or what it is a view of
        }
    }

    private sealed class Widened(LinearOperator op) : LinearOperator
    {
        public override long Dimension => op.Dimension;
        public override ScalarType Type => ScalarType.Float32;
        public override Device Device => op.Device;

        public override IDisposable BeginRun() => op.BeginRun();

        protected override Tensor Product(Tensor v) => op.Columns(v.to_type(op.Type)).to_type(Type);
    }
}
