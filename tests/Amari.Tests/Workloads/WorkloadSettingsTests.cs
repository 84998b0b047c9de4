using Amari.Workloads;

namespace Amari.Tests.Workloads;

/// <summary>Settings of workloads: their names, other values, errors.</summary>
public sealed class WorkloadSettingsTests
{
    private sealed class Adjustable : AdjustableWorkload;

    private static Dictionary<string, string> Of(string name, string value) => new() { [name] = value };

    [Theory, InlineData("start-slope"), InlineData("StartSlope"), InlineData("startslope")]
    public void A_setting_takes_its_name_in_any_spelling(string name)
    {
        var workload = new Adjustable();
        Assert.Equal(["start-slope", "rows"], workload.SettingNames);
        var other = workload.With(Of(name, "3"));
        Assert.Equal(("3", "8"), (other.SettingValues["start-slope"], other.SettingValues["rows"]));
        Assert.Equal("0", workload.SettingValues["start-slope"]); // the first is as it was
        Assert.Equal(
            "16",
            other.With(Of("rows", "16")) is var both && both.SettingValues["start-slope"] == "3" ? both.SettingValues["rows"] : ""
        );
    }

    [Fact]
    public void Wrong_names_list_those_that_exist()
    {
        var why = Assert.Throws<ArgumentException>(() => new Adjustable().With(Of("slope", "3")));
        Assert.Equal("There is no setting 'slope' for adjustable; there are start-slope, rows.", why.Message);
        why = Assert.Throws<ArgumentException>(() => new DigitsMlp().With(Of("slope", "3")));
        Assert.Equal("There is no setting 'slope' for digits-mlp, which has none.", why.Message);
        Assert.Throws<ArgumentException>(() => new Adjustable().With(Of("rows", "many")));
        var twice = new Dictionary<string, string> { ["start-slope"] = "1", ["StartSlope"] = "2" };
        Assert.Contains("start-slope is given twice", Assert.Throws<ArgumentException>(() => new Adjustable().With(twice)).Message);
    }

    [Fact]
    public void Without_settings_it_is_the_same_workload()
    {
        var workload = new DigitsMlp();
        Assert.Same(workload, workload.With(new Dictionary<string, string>()));
        Assert.Empty(workload.SettingNames);
    }
}
