using System.Globalization;
using Amari.Curvature;
using Amari.Native;

namespace Amari;

// The parameters as one vector, and how many there are.
public abstract partial class SecondOrderOptimizer<TOptions>
{
    /// <summary>The parameters that are trained now, without frozen ones, as they are now, for <c>module.to</c> makes new ones.</summary>
    private protected ParameterLayout Layout()
    {
        if (Group.Parameters.Any(p => p.Parameter.IsInvalid))
            Group.Refresh();
        var layout = new ParameterLayout(Group.Parameters.Where(p => p.Parameter.requires_grad));
        layout.RequireMemory();
        return layout.Type is ScalarType.Float32 or ScalarType.Float64
            ? layout
            : throw new ArgumentException($"{GetType().Name} needs float32 or float64 parameters; they are {layout.Type}.");
    }

    /// <summary>How many numbers the parameters that are trained now hold.</summary>
    private protected long Dimension => Layout().Dimension;

    /// <summary>Bytes of a dense d x d method: the matrix, the columns it is made of, and its factor.</summary>
    private protected long DenseBytes
    {
        get
        {
            var layout = Layout();
            long d = layout.Dimension,
                size = layout.Type == ScalarType.Float64 ? sizeof(double) : sizeof(float);
            return d > int.MaxValue ? long.MaxValue : 3 * d * d * size;
        }
    }

    /// <summary>Refuses a model that is too large for a dense matrix.</summary>
    private protected void RequireDense(long limit, string instead)
    {
        if (DenseBytes > limit)
            throw TooLarge(string.Create(CultureInfo.InvariantCulture, $"{Dimension:N0} parameters"), DenseBytes, limit, instead);
    }

    /// <summary>What is said of dense matrices that are too large.</summary>
    private protected ArgumentException TooLarge(string what, double bytes, long limit, string instead)
    {
        const double Gigabyte = 1 << 30;
        return new(
            string.Create(
                CultureInfo.InvariantCulture,
                $"{GetType().Name} forms a dense matrix: {what} need {bytes / Gigabyte:F1} GiB, above the limit of "
                    + $"{limit / Gigabyte:F1} GiB (MaxDenseBytes); use {instead}, which forms none."
            )
        );
    }

    private void Follow(ScalarType type, Device device)
    {
        if (Direction is { } d && (d.dtype != type || !Native.TensorDevice.IsOn(d, device)))
            Direction = d.to(type, device);
    }

    /// <summary>Makes the direction one over the parameters of this step.</summary>
    private void Follow(ParameterLayout layout)
    {
        Follow(layout.Type, layout.Device);
        List<string> names = [.. layout.Parameters.Select(p => p.Name)];
        if (Direction is { } d && !names.SequenceEqual(_directed))
        {
            using var scope = NewDisposeScope();
            var parts = d.split([.. Sizes(_directed)]);
            var last = _directed.Zip(parts).ToDictionary(p => p.First, p => p.Second);
            Direction = layout.Flatten([.. names.Select(n => last.GetValueOrDefault(n))]);
        }
        _directed = names;
    }

    private IEnumerable<long> Sizes(IReadOnlyCollection<string> names)
    {
        var sizes = Group.Parameters.ToDictionary(p => p.Name, p => p.Parameter.numel());
        return names.Select(n => sizes[n]);
    }
}
