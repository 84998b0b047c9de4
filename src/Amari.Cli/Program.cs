using Amari.Cli.Commands;
using Amari.Native;

TorchLibrary.TellsFailure = false;                              // the command line tells it, on one line
return CommandLine.Run(args, Console.Out, Console.Error);
