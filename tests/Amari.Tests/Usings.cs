global using TorchSharp;
global using TorchSharp.Modules;
global using static TorchSharp.torch;
global using Xunit;

// libtorch has one random generator and one pool of threads for the process.
[assembly: CollectionBehavior(CollectionBehavior.CollectionPerAssembly)]
