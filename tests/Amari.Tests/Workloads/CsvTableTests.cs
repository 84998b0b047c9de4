using Amari.Tests.Training;
using Amari.Workloads;
using Amari.Workloads.Data;

namespace Amari.Tests.Workloads;

/// <summary>Files that cannot be used: one sentence with file, row and column.</summary>
public sealed class CsvTableTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    private void Refused(string expected, string text, string target = "price", CsvOptions? options = null)
    {
        string path = CsvFile.Write(_folder.Path, text);
        var e = Assert.Throws<ArgumentException>(() => new CsvTable(path, target, options ?? new()));
        Assert.Contains(expected, e.Message);
        Assert.DoesNotContain('\n', e.Message);
        Assert.Contains(options?.Ignore.Contains(target) == true ? "'price'" : $"'{path}'", e.Message);
    }

    /// <summary>The houses with a field of a data row replaced; the header is row 1.</summary>
    private static string With(int row, int column, string value)
    {
        string[] lines = CsvFile.Houses().Split('\n');
        string[] fields = lines[row - 1].Split(',');
        fields[column] = value;
        lines[row - 1] = string.Join(',', fields);
        return string.Join('\n', lines);
    }

    [Theory]
    [InlineData("", "row 5, column 'size': the value is missing; fill it in, delete the row, or leave the column out with ignore.")]
    [InlineData("NA", "row 5, column 'size': 'NA' is not a number, but 59 of the column's 60 values are.")]
    [InlineData("nan", "row 5, column 'size': 'nan' is not a finite number of at most 1e+100 in magnitude.")]
    [InlineData("-Infinity", "row 5, column 'size': '-Infinity' is not a finite number")]
    [InlineData("1e300", "row 5, column 'size': '1e300' is not a finite number")]
    public void Values_of_a_column(string value, string expected) => Refused(expected, With(5, 0, value));

    [Fact]
    public void Values_of_the_target()
    {
        Refused("row 7, column 'price': the value is missing", With(7, 3, "  "));
        Refused("row 7, column 'price': 'many' is not a number, but 59", With(7, 3, "many"));
        Refused("row 7, column 'town': the value is missing", With(7, 1, ""));
        _ = new CsvTable(CsvFile.Write(_folder.Path, With(7, 1, "")), "price", new() { Ignore = ["town"] });
    }

    [Fact]
    public void Decimal_commas_are_not_taken_for_texts() =>
        Refused(
            "row 2, column 'x': the number has a decimal comma; write a point.",
            "x;price\n" + string.Join('\n', Enumerable.Range(0, 30).Select(i => $"{i},5;{i}"))
        );

    [Fact]
    public void A_missing_target_names_the_nearest_columns()
    {
        Refused("has no column 'prize'; it has 'price', 'size', ", CsvFile.Houses(), "prize");
        string header = string.Join(',', Enumerable.Range(0, 12).Select(i => $"column{i}").Append("price"));
        Refused(
            "has no column 'prise'; the nearest of its 13 names are 'price', ",
            header + string.Concat(Enumerable.Repeat("\n" + string.Join(',', new int[13]), 30)),
            "prise"
        );
        Refused("has no column 'sise'; it has 'size', ", CsvFile.Houses(), options: new() { Ignore = ["sise"] });
    }

    [Fact]
    public void Headers()
    {
        string[] houses = CsvFile.Houses().Split('\n', 2);
        Refused("row 1: the columns 1 and 3 are both named 'size'.", "size,town,size,price\n" + houses[1]);
        Refused("row 1, column 2: the name is missing.", "size,,rooms,price\n" + houses[1]);
        Refused("row 1 has only numbers; it must be a header", string.Join('\n', Enumerable.Range(0, 30).Select(i => $"{i},{2 * i}")));
    }

    [Fact]
    public void Too_few_rows()
    {
        Refused("has 0 rows below its header; training, validation and test need at least 20.", CsvFile.Houses(0));
        Refused("has 1 row below its header;", CsvFile.Houses(1));
        Refused("has 19 rows below", CsvFile.Houses(19));
        Assert.Equal(20, new CsvTable(CsvFile.Write(_folder.Path, CsvFile.Houses(20)), "price", new()).Count(null));
    }

    [Fact]
    public void Targets_that_cannot_be_learned()
    {
        string one = "x,price\n" + string.Join('\n', Enumerable.Range(0, 30).Select(i => $"{i},a"));
        Refused("column 'price': all rows have the value 'a'; a target needs two different values.", one);
        string many = "id,x\n" + string.Join('\n', Enumerable.Range(0, 70).Select(i => $"h{i},{i}"));
        Refused("column 'id' has 70 different values; a target of classes can have at most 64.", many, "id");
        Refused("column 'town' is text; a regression needs numbers.", CsvFile.Houses(), "town", new() { Task = CsvTask.Regression });
        Refused("The column 'price' is the target and ignored", CsvFile.Houses(), options: new() { Ignore = ["price"] });
    }

    [Fact]
    public void Texts_of_too_many_categories()
    {
        string text = "street,price\n" + string.Join('\n', Enumerable.Range(0, 200).Select(i => $"s{i % 70},{i}"));
        Refused("column 'street' is text with 70 different values; at most 64 can be features. Leave it out with ignore=street.", text);
        Refused("has no column from which 'price' can be predicted.", text, options: new() { Ignore = ["street"] });
        string names = "name,price\n" + string.Join('\n', Enumerable.Range(0, 30).Select(i => $"s{i},{i}"));
        Refused("has no column from which 'price' can be predicted: 'name' is text with 30 different values in 30 rows.", names);
    }
}
