global using Palette = Amari.Cli.Reporting.Palette;                // ScottPlot has one too
global using TorchSharp;
global using TorchSharp.Modules;
global using static TorchSharp.torch;
