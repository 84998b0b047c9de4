using Amari.Optimizers;

namespace Amari.Tests.Optimizers;

/// <summary>Options by the names and values of a command line: parts of options by dotted names, or by a name that is only there.</summary>
public sealed class SettingsTests
{
    private static Kfac.Options Of(params (string Name, string Value)[] settings) =>
        (Kfac.Options)Settings.Apply(typeof(Kfac.Options), settings.Select(s => KeyValuePair.Create(s.Name, s.Value)));

    [Fact]
    public void Parts_are_chosen_by_name_and_options_by_path()
    {
        var expected = new Kfac.Options
        {
            Step = new QuadraticStep { BatchSize = 7 },
            Curvature = new()
            {
                Fisher = new FisherOptions.MonteCarlo { Samples = 3 },
                Inverse = new InverseOptions.Cholesky { Precision = MatmulPrecision.BFloat16 },
            },
        };
        Assert.Equal(
            expected,
            Of(
                ("step", "quadratic"),
                ("step.batchsize", "7"),
                ("curvature.fisher", "monte-carlo"),
                ("curvature.fisher.samples", "3"),
                ("curvature.inverse", "cholesky"),
                ("curvature.inverse.precision", "bfloat16")
            )
        );
    }

    [Theory]
    [InlineData("klclip", "0.5", "step.klclip")]
    [InlineData("momentum", "0.7", "step.momentum")]
    [InlineData("inverse", "auto", "curvature.inverse")]
    [InlineData("inverse.ranktolerance", "0.3", "curvature.inverse.ranktolerance")]
    [InlineData("rank-tolerance", "0.3", "curvature.inverse.ranktolerance")]
    [InlineData("FactorInterval", "3", "curvature.refresh.factorinterval")]
    [InlineData("refreshwarmup", "none", "curvature.refresh.warmup")] // as they were called
    [InlineData("curvaturetimefraction", "0.2", "curvature.refresh.timefraction")]
    [InlineData("steprule", "QuadraticModel", "step")]
    [InlineData("DampingMethod", "Ekfac", "curvature.inverse")]
    [InlineData("quadraticmodelbatchsize", "9", "step.batchsize")]
    public void A_name_that_is_in_one_place_needs_no_path(string name, string value, string path)
    {
        string now = value switch
        {
            "QuadraticModel" => "quadratic",
            "Ekfac" => "eigenvaluecorrection",
            _ => value,
        };
        Assert.Equal(Of((path, now)), Of((name, value)));
        Assert.NotEqual(new Kfac.Options(), Of((name, value)));
    }

    [Fact]
    public void What_an_option_is_of_may_be_chosen_after_it() =>
        Assert.Equal(
            new Kfac.Options { Curvature = new() { Fisher = new FisherOptions.MonteCarlo { Samples = 4 } } },
            Of(("fisher.samples", "4"), ("fisher", "montecarlo"))
        );

    [Fact]
    public void A_part_that_may_be_left_out_is_switched_on_and_off()
    {
        Assert.Equal(new AutoStep { AdaptiveDamping = new() }, Of(("adaptivedamping", "true")).Step);
        Assert.Equal(new AutoStep { AdaptiveDamping = new() { Interval = 2 } }, Of(("step.adaptivedamping.interval", "2")).Step);
        Assert.Equal(new AutoStep(), Of(("adaptivedamping", "true"), ("adaptivedamping", "false")).Step);
    }

    [Theory]
    [InlineData(
        "There is no option 'klclip' for Kfac: it is one of Step=Auto or Fixed, and Step is Quadratic.",
        "step=quadratic",
        "klclip=1"
    )]
    [InlineData(
        "There is no option 'ranktolerance' for Kfac: it is one of Inverse=Nystrom, and Inverse is Cholesky.",
        "inverse=cholesky",
        "ranktolerance=1"
    )]
    [InlineData(
        "no option 'montecarlosamples' for Kfac: it is one of Fisher=MonteCarlo or CurvaturePropagation, and Fisher is none.",
        "montecarlosamples=2"
    )]
    [InlineData("There is no option 'nonsense' for Kfac; there are LearningRate, Damping", "nonsense=2")]
    [InlineData("Step is 'great'; it must be Auto, Fixed, Quadratic.", "step=great")]
    [InlineData("Fisher is 'x'; it must be Exact, MonteCarlo, CurvaturePropagation, Empirical, ForwardOnly or none.", "fisher=x")]
    [InlineData("Samples is 0; it must be an integer >= 1", "fisher=montecarlo", "fisher.samples=0")]
    [InlineData("AdaptiveDamping is '3'; it must be true or false.", "adaptivedamping=3")]
    [InlineData("Refresh has parts: Refresh.FactorInterval, Refresh.InverseInterval", "refresh=3")]
    [InlineData("The option 'Damping' has no parts", "damping.x=3")]
    public void What_has_no_effect_cannot_be_set(string message, params string[] settings) =>
        Assert.Contains(
            message,
            Assert.ThrowsAny<ArgumentException>(() => Of([.. settings.Select(s => s.Split('=')).Select(s => (s[0], s[1]))])).Message,
            StringComparison.Ordinal
        );

    [Theory, InlineData("matrixoptimizer.klclip"), InlineData("MatrixOptimizer.Step.KlClip")]
    public void A_method_among_others_takes_names_as_it_does_alone(string name)
    {
        var options = (PartitionedOptimizer.Options)
            Settings.Apply(
                typeof(PartitionedOptimizer.Options),
                KeyValuePair.Create("matrixoptimizer", "kfac"),
                KeyValuePair.Create(name, "0.5"),
                KeyValuePair.Create("matrixoptimizer.refresh-warmup", "none")
            );
        var kfac = (Kfac.Options)options.MatrixOptimizer;
        Assert.Equal((new AutoStep { KlClip = 0.5 }, null), (kfac.Step, kfac.Curvature.Refresh.Warmup));
    }

    [Fact]
    public void What_is_described_is_what_was_applied()
    {
        Kfac.Options[] all =
        [
            new(),
            new() { Step = new FixedStep { AdaptiveDamping = new() { BatchSize = null } } },
            new()
            {
                Step = new QuadraticStep
                {
                    AdaptiveDamping = new(),
                    FactorDamping = new() { Interval = 3 },
                },
            },
            new()
            {
                Curvature = new()
                {
                    Fisher = new FisherOptions.MonteCarlo { Samples = 2 },
                    Inverse = new InverseOptions.Eigenbasis(),
                },
            },
        ];
        foreach (var options in all)
        {
            Assert.Equal(options, Settings.Apply(typeof(Kfac.Options), Settings.Describe(options)));
            Assert.Equal(options, Settings.Restore(typeof(Kfac.Options), Settings.Describe(options)));
            Assert.Equal(options, SavedState.Read<Kfac.Options>(SavedState.Write(options)));
        }
    }
}
