namespace Amari.Workloads;

/// <summary>A part of the rows of a <see cref="CsvDataset"/>.</summary>
public enum CsvPart
{
    /// <summary>70 % of the rows. Features and a numeric target are standardised by these only.</summary>
    Training,

    /// <summary>15 % of the rows, by which settings are chosen.</summary>
    Validation,

    /// <summary>15 % of the rows, by which the result is judged.</summary>
    Test,
}
