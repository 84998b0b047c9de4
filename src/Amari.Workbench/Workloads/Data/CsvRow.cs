namespace Amari.Workloads.Data;

/// <summary>A row of a CSV file.</summary>
/// <param name="Number">Its number in the file as a spreadsheet counts: the header has 1, and blank rows count.</param>
/// <param name="Fields">The texts of its fields, without quotes and surrounding spaces.</param>
internal sealed record CsvRow(int Number, string[] Fields);
