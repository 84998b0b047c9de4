global using TorchSharp;
global using TorchSharp.Modules;
global using static TorchSharp.torch;
global using Palette = Amari.Reporting.Palette; // ScottPlot has one too
