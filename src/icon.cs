// Draws icon.png, the icon of the packages: the level sets of a quadratic, gradient descent (orange) and Newton's step (blue). Run it with:
// dotnet run src/icon.cs
#:package ScottPlot
#:property PublishAot=false
#:property ReferencesAmari=false
using SkiaSharp;

const int Size = 128;
const float Angle = -32; // degrees
const float Aspect = 0.5f; // short half axis over the long one
(float X, float Y) start = (-1.5f, 0.54f); // in the axes of the ellipses
using var surface = SKSurface.Create(new SKImageInfo(Size, Size));
var canvas = surface.Canvas;
using var paint = new SKPaint { IsAntialias = true };

paint.Color = SKColor.Parse("#10243E");
canvas.DrawRoundRect(0, 0, Size, Size, 26, 26, paint);
canvas.Translate(Size / 2f, Size / 2f);
canvas.RotateDegrees(Angle);
canvas.Scale(31);

paint.Style = SKPaintStyle.Stroke;
paint.StrokeWidth = 0.055f;
foreach (var (level, shade) in ((float, string)[])[(1.85f, "#2C4A72"), (1.3f, "#41689B"), (0.75f, "#6C95C8")])
{
    paint.Color = SKColor.Parse(shade);
    canvas.DrawOval(0, 0, level, Aspect * level, paint);
}

// f = (x² + (y / Aspect)²) / 2; each step of gradient descent overshoots along the short axis
paint.StrokeWidth = 0.09f;
paint.StrokeCap = SKStrokeCap.Round;
paint.StrokeJoin = SKStrokeJoin.Round;
paint.Color = SKColor.Parse("#F2A33A");
using var descent = new SKPath();
descent.MoveTo(start.X, start.Y);
const float Rate = 0.44f;
var (x, y) = start;
for (int i = 0; i < 12; i++)
{
    (x, y) = (x - Rate * x, y - Rate * y / (Aspect * Aspect));
    descent.LineTo(x, y);
}
canvas.DrawPath(descent, paint);

paint.Color = SKColor.Parse("#7FD6FF");
canvas.DrawLine(start.X, start.Y, 0, 0, paint);
paint.Style = SKPaintStyle.Fill;
canvas.DrawCircle(0, 0, 0.16f, paint);
paint.Color = SKColors.White;
canvas.DrawCircle(start.X, start.Y, 0.13f, paint);

using var image = surface.Snapshot();
using var data = image.Encode(SKEncodedImageFormat.Png, 100);
using var file = File.Create(Path.Combine(Path.GetDirectoryName(Here())!, "icon.png"));
data.SaveTo(file);

static string Here([System.Runtime.CompilerServices.CallerFilePath] string path = "") => path;
