using ScottPlot;
using SkiaSharp;

namespace Amari.Reporting;

/// <summary>The font of all figures, embedded in the program: a minimal system has no fonts.</summary>
internal sealed class EmbeddedFont : IFontResolver
{
    /// <summary>The name of its family.</summary>
    public const string Family = "DejaVu Sans";

    private const string Resource = "DejaVuSans.ttf";
    private static readonly Lazy<SKData> Content = new(() =>
    {
        using var source = typeof(EmbeddedFont).Assembly.GetManifestResourceStream(Resource)!;
        return SKData.Create(source);
    });

    private EmbeddedFont() { }

    /// <summary>Registers the font with the figures, once.</summary>
    public static Lazy<bool> Registered { get; } =
        new(() =>
        {
            Fonts.FontResolvers.Insert(0, new EmbeddedFont());
            return true;
        });

    /// <inheritdoc/>
    public SKTypeface? CreateTypeface(string fontName, FontWeight weight, FontSlant slant, FontSpacing spacing) => Of(fontName);

    /// <inheritdoc/>
    public SKTypeface? CreateTypeface(string fontName, bool bold, bool italic) => Of(fontName);

    private static SKTypeface? Of(string family) => family == Family ? SKTypeface.FromData(Content.Value) : null;
}
