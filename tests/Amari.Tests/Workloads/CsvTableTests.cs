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
    [InlineData("", "column 'size': the value is missing; fill it in, delete the row, or leave the column out with --set ignore=size.")]
    [InlineData("NA", "row 5, column 'size': the value is missing ('NA'); fill it in, delete the row, or leave the column out with ")]
    [InlineData("nan", "row 5, column 'size': the value is missing ('nan'); fill it in")]
    [InlineData("12 m", "row 5, column 'size': '12 m' is not a number, but 59 of the column's 60 values are.")]
    [InlineData("9.95 €", "'9.95 €' is a number with a unit; write the number alone, or leave the column out with --set ignore=size.")]
    [InlineData("-Infinity", "row 5, column 'size': '-Infinity' is not a finite number")]
    [InlineData("1e300", "row 5, column 'size': '1e300' is not a finite number")]
    public void Values_of_a_column(string value, string expected) => Refused(expected, With(5, 0, value));

    [Fact]
    public void Values_of_the_target()
    {
        Refused("row 7, column 'price': the value is missing; fill it in or delete the row.", With(7, 3, "  "));
        Refused("row 7, column 'price': '$5' is a number with a unit; write the number alone.", With(7, 3, "$5"));
        Refused("row 7, column 'price': 'many' is not a number, but 59", With(7, 3, "many"));
        Refused("row 7, column 'town': the value is missing", With(7, 1, ""));
        _ = new CsvTable(CsvFile.Write(_folder.Path, With(7, 1, "")), "price", new() { Ignore = ["town"] });
    }

    /// <summary>Also where most values are missing: the others are numbers.</summary>
    [Theory]
    [InlineData("NA", 5, 12)]
    [InlineData("n/a", 2, 30)]
    [InlineData("?", 7, 9)]
    [InlineData("NULL", 6, 10)]
    [InlineData("-", 5, 12)]
    [InlineData("NaN", 4, 15)]
    [InlineData("", 5, 12)]
    public void Markers_of_missing_values_make_no_categories(string marker, int nth, int count)
    {
        string shown = marker.Length == 0 ? "" : $" ('{marker}')";
        Refused(
            $"row 2, column 'rooms': the value is missing{shown}, as in {count} of 60 rows; fill them in, delete these rows, or leave the "
                + "column out with --set ignore=rooms.",
            WithEvery(nth, 2, marker)
        );
        Refused(
            $"row 2, column 'price': the value is missing{shown}, as in {count} of 60 rows; fill them in or ",
            WithEvery(nth, 3, marker)
        );
    }

    /// <summary>The houses with the first of every few data rows changed, by the values in turn.</summary>
    private static string WithEvery(int nth, int column, params string[] values) =>
        string.Join(
            '\n',
            CsvFile
                .Houses()
                .Split('\n')
                .Select(
                    (line, i) =>
                        i == 0 || (i - 1) % nth != 0
                            ? line
                            : string.Join(',', line.Split(',').Select((f, c) => c == column ? values[(i - 1) / nth % values.Length] : f))
                )
        );

    [Fact]
    public void Markers_of_several_kinds_are_named()
    {
        Refused("column 'size': the value is missing ('NA', '?'), as in 12 of 60 rows;", WithEvery(5, 0, "NA", "?"));
        Refused("--set ignore=town,size.", WithEvery(5, 0, "NA"), options: new() { Ignore = ["town"] });
        Refused("--set \"ignore=living space\".", WithEvery(5, 0, "NA").Replace("size", "living space", StringComparison.Ordinal));
    }

    [Fact]
    public void A_category_may_have_the_name_of_a_marker()
    {
        var table = new CsvTable(CsvFile.Write(_folder.Path, WithEvery(5, 1, "None")), "price", new());
        Assert.Equal(["size", "town=Lyon", "town=Nice", "town=None", "town=Paris", "rooms"], table.Features);
        Assert.Empty(table.Remarks);
    }

    [Fact]
    public void A_column_that_is_half_numbers_is_text_with_a_remark()
    {
        var table = new CsvTable(CsvFile.Write(_folder.Path, WithEvery(4, 2, "many")), "price", new());
        Assert.Contains("rooms=many", table.Features);
        Assert.Equal(["'rooms' is taken as text, because 'many' is not a number, although 45 of its 60 values are"], table.Remarks);
        Assert.Empty(new CsvTable(CsvFile.Write(_folder.Path, WithEvery(1, 2, "1st", "2nd", "3")), "price", new()).Remarks);
    }

    /// <summary>Numbers in a column of a file with semicolons, every second one or all; {0} is 1, 2, 3 ...</summary>
    [Theory]
    [InlineData("{0},5", "'1,5' is a number with a decimal comma; write a point")]
    [InlineData("1.{0:D3},5", "'1.001,5' is a number with a decimal comma; write a point")]
    [InlineData("{0},234.5", "'1,234.5' is a number with separators of thousands; leave them out")]
    [InlineData("{0},234,567", "'1,234,567' is a number with separators of thousands; leave them out")]
    [InlineData("{0}'000", "'1'000' is a number with separators of thousands; leave them out")]
    [InlineData("{0} 000,5", "'1 000,5' is a number with separators of thousands; leave them out")]
    [InlineData("{0}.234.567", "'1.234.567' is a number with separators of thousands; leave them out")]
    [InlineData("{0},234", "'1,234' is a number with a separator of thousands (leave it out) or a decimal comma (write a point)")]
    [InlineData("${0}.50", "'$1.50' is a number with a unit; write the number alone")]
    [InlineData("{0} %", "'1 %' is a number with a unit; write the number alone")]
    public void Numbers_written_otherwise_are_named(string format, string expected)
    {
        foreach (int nth in (int[])[1, 2])
            Refused(
                $"row 2, column 'x': {expected}, or leave the column out with --set ignore=x.",
                "x;price\n" + string.Join('\n', Enumerable.Range(1, 30).Select(i => $"{(i % nth == 1 % nth ? Written(format, i) : i)};{i}"))
            );
    }

    private static string Written(string format, int i) => string.Format(System.Globalization.CultureInfo.InvariantCulture, format, i);

    /// <summary>One value with a decimal comma, or with thousands and a point, says what 1,234 is.</summary>
    [Theory]
    [InlineData("0,75", "row 32, column 'x': '0,75' is a number with a decimal comma; write a point")]
    [InlineData("1,234.5", "row 32, column 'x': '1,234.5' is a number with separators of thousands; leave them out")]
    public void One_value_says_what_the_comma_of_others_is(string last, string expected) =>
        Refused(expected, "x;price\n" + string.Concat(Enumerable.Range(1, 30).Select(i => $"{i},234;{i}\n")) + $"{last};31");

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
        Refused("row 62 is a header again: delete it.", string.Join('\n', [.. houses, .. houses]));
        Refused(
            "row 62 is a header again, in another order than row 1: sort the columns of the rows below it as in row 1, and delete it.",
            string.Join('\n', [.. houses, "town,size,rooms,price", "Nice,50,2,100000"])
        );
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
        Refused(
            "The column 'price' is the target, so --set ignore=town,price cannot name it.",
            CsvFile.Houses(),
            options: new() { Ignore = ["town", "price"] }
        );
    }

    [Fact]
    public void Texts_of_too_many_categories()
    {
        string text = "street,price\n" + string.Join('\n', Enumerable.Range(0, 200).Select(i => $"s{i % 70},{i}"));
        Refused(
            "column 'street' is text with 70 different values; at most 64 can be features. Leave it out with --set ignore=street.",
            text
        );
        Refused("has no column from which 'price' can be predicted.", text, options: new() { Ignore = ["street"] });
        string names = "name,price\n" + string.Join('\n', Enumerable.Range(0, 30).Select(i => $"s{i},{i}"));
        Refused("has no column from which 'price' can be predicted: 'name' is text with 30 different values in 30 rows.", names);
    }
}
