using System.Text;
using Amari.Tests.Training;
using Amari.Workloads.Data;

namespace Amari.Tests.Workloads;

public sealed class CsvTextTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    private string Written(string text, Encoding? encoding = null)
    {
        string path = _folder.File("data.csv");
        File.WriteAllText(path, text, encoding ?? new UTF8Encoding(false));
        return path;
    }

    private string[][] Rows(string text, Encoding? encoding = null) => [.. CsvText.Read(Written(text, encoding)).Select(r => r.Fields)];

    /// <summary>The examples of RFC 4180, section 2, and what spreadsheets add.</summary>
    [Theory]
    [InlineData("aaa,bbb,ccc\r\nzzz,yyy,xxx\r\n")]
    [InlineData("aaa,bbb,ccc\nzzz,yyy,xxx")]
    [InlineData("aaa,bbb,ccc\rzzz,yyy,xxx\r")]
    [InlineData("\"aaa\",\"bbb\",\"ccc\"\r\nzzz,yyy,xxx")]
    [InlineData(" aaa , \"bbb\" ,ccc\n\nzzz,yyy,xxx\n\n")]
    [InlineData("aaa;bbb;ccc\nzzz;yyy;xxx")]
    [InlineData("aaa\tbbb\tccc\nzzz\tyyy\txxx")]
    public void Rows_are_read_whatever_ends_them(string text) =>
        Assert.Equal(
            [
                ["aaa", "bbb", "ccc"],
                ["zzz", "yyy", "xxx"],
            ],
            Rows(text)
        );

    [Fact]
    public void Quoted_fields_hold_delimiters_breaks_and_doubled_quotes() =>
        Assert.Equal(
            [
                ["a,b", "c"],
                ["1\r\n2", "say \"x\""],
                ["", "5\" pipe"],
            ],
            Rows("\"a,b\",c\n\"1\r\n2\",\"say \"\"x\"\"\"\n\"\",5\" pipe\n")
        );

    [Fact]
    public void The_delimiter_is_the_one_that_gives_equal_rows()
    {
        Assert.Equal(
            [
                ["price, EUR", "x"],
                ["1,5", "2"],
                ["1", "2"],
            ],
            Rows("price, EUR;x\n1,5;2\n1;2\n")
        );
        Assert.Equal(
            [
                ["a;b", "c"],
                ["1", "2"],
            ],
            Rows("a;b,c\n1,2")
        );
    }

    [Fact]
    public void Byte_order_marks_of_spreadsheets_are_understood()
    {
        Assert.Equal(
            [
                ["ä", "b"],
                ["1", "2"],
            ],
            Rows("ä,b\n1,2", new UTF8Encoding(true))
        );
        Assert.Equal(
            [
                ["ä", "b"],
                ["1", "2"],
            ],
            Rows("ä\tb\n1\t2", Encoding.Unicode)
        );
    }

    [Fact]
    public void Rows_are_numbered_as_in_a_spreadsheet() =>
        Assert.Equal([1, 2, 4], CsvText.Read(Written("a,b\n\"1\n1\",2\n\n3,4\n")).Select(r => r.Number));

    [Theory]
    [InlineData("", "is empty")]
    [InlineData(" \n \n", "is empty")]
    [InlineData("price\n1\n2", "has the single column 'price'; it must have two or more, separated by commas")]
    [InlineData("a,b,c\n1,2,3\n1,2", "row 3, column 'c': the field is missing; the row has 2, the header 3")]
    [InlineData("a,b\n1,2,3", "row 2, after column 'b': there are more fields; the row has 3, the header 2")]
    [InlineData("a,b\n1,\"2\n3,4\n", "row 2, column 'b': the quote is never closed")]
    [InlineData("a,b\n\"1\"2,3\n", "row 2, column 'a': '2' comes after the closing quote; a quote within quotes must be doubled")]
    [InlineData("a,b\n\"1,2\n3,\"x\"\n", "row 2, column 'a': the quote is not closed in its row; the next is 1 line below, before 'x'.")]
    [InlineData("a,b\n1,2\n\"3,4\n5,6\n7,8\n", "row 3, column 'a': the quote is never closed")]
    [InlineData("a,b,c\n\"x, y\",2,3\n1,2\n", "row 3, column 'c': the field is missing")]
    [InlineData("a,\"b\n", "row 1, column 2: the quote is never closed")]
    [InlineData("a,b\n1,\0\n", "is not a text file: it has a zero byte")]
    public void Faults_name_file_row_and_column(string text, string expected)
    {
        string path = Written(text);
        var e = Assert.Throws<ArgumentException>(() => CsvText.Read(path));
        Assert.StartsWith($"'{path}'", e.Message);
        Assert.Contains(expected, e.Message);
    }

    [Fact]
    public void Other_encodings_and_binary_files_are_refused()
    {
        Assert.Contains("is not text in UTF-8", Refused(Written("pré,b\n1,2", Encoding.Latin1)));
        string path = _folder.File("image.png");
        File.WriteAllBytes(path, [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0, 0xff]);
        Assert.Contains("is not text in UTF-8", Refused(path));
        Assert.Contains("is a folder; it must be a CSV file", Refused(_folder.Path));
        Assert.Throws<FileNotFoundException>(() => CsvText.Read(_folder.File("none.csv")));

        static string Refused(string path) => Assert.Throws<ArgumentException>(() => CsvText.Read(path)).Message;
    }
}
