using Amari.Native;
using Amari.Workloads.Data;

namespace Amari.Workloads;

/// <summary>The examples of a CSV file, as a data set that TorchSharp's <c>DataLoader</c> takes.</summary>
/// <remarks>The file has a header; fields are separated by commas, semicolons or tabs, and may be quoted (RFC 4180). Numbers have a decimal
/// point.
/// <para>A numeric column is a feature with mean 0 and variance 1 over the training rows. A text column of at most 64 categories is a
/// feature for each category, 0 or 1. A column with one value, and a text column with different values in most rows, is left out, and one
/// line on standard error says so. Values that are missing in a column of numbers, empty or as NA and the like, are refused.</para>
/// <para>The object owns its tensors: dispose it.</para></remarks>
public sealed class CsvDataset : utils.data.Dataset
{
    private readonly CsvTable _table;
    private readonly Dataset _examples;

    /// <summary>Reads a file.</summary>
    /// <param name="path">The file.</param>
    /// <param name="target">The name of the column to predict.</param>
    /// <param name="part">The rows; null for all.</param>
    /// <param name="options">How the file is read; null for the defaults.</param>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="ArgumentException">The file cannot be used: a value is missing, a row has other fields than the header, there is no
    /// such column, or similar. The message has the file, the row and the column.</exception>
    public CsvDataset(string path, string target, CsvPart? part = null, CsvOptions? options = null)
        : this(Open(path, target, options ?? new()), part) { }

    private CsvDataset(CsvTable table, CsvPart? part) => (_table, _examples) = (table, table.Examples(part));

    /// <summary>The rows of a part, without reading the file again. The caller disposes it.</summary>
    public CsvDataset Of(CsvPart part) => new(_table, part);

    /// <summary>Number of rows.</summary>
    public override long Count => _examples.Count;

    /// <summary>float32 [n, features], in the order of the file.</summary>
    public Tensor Inputs => _examples.Inputs;

    /// <summary>Labels int64 [n] for classes; otherwise float32 [n, 1], with mean 0 and variance 1 over the training rows.</summary>
    public Tensor Targets => _examples.Targets;

    /// <summary>The names of the features; <c>column=category</c> for a category of a text column.</summary>
    public IReadOnlyList<string> Features => _table.Features;

    /// <summary>The classes in the order of their labels; empty if the target is a number.</summary>
    public IReadOnlyList<string> Classes => _table.Classes;

    /// <summary>The standard deviation of a numeric target over the training rows: the factor from the model's units to those of the file.
    /// 1 for classes.</summary>
    public double TargetScale => _table.Scale;

    /// <summary>A row: <c>data</c> [features] and <c>label</c>, [] for a class or [1] for a number. The caller disposes the
    /// tensors.</summary>
    /// <param name="index">0 to <see cref="Count"/> - 1.</param>
    public override Dictionary<string, Tensor> GetTensor(long index)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(index);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(index, Count);
        return new() { ["data"] = Inputs[index].clone(), ["label"] = Targets[index].clone() };
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
            _examples.Dispose();
        base.Dispose(disposing);
    }

    /// <summary>Reads a file, and reports the columns that are left out or are oddly text.</summary>
    internal static CsvTable Open(string path, string target, CsvOptions options)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(path);
        ArgumentException.ThrowIfNullOrWhiteSpace(target);
        var table = new CsvTable(path, target, options);
        if (table.LeftOut.Count > 0)
            Warnings.Once($"'{path}': {string.Join("; ", table.LeftOut)}: left out.");
        if (table.Remarks.Count > 0)
            Warnings.Once($"'{path}': {string.Join("; ", table.Remarks)}.");
        return table;
    }
}
