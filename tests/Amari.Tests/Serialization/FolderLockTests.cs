using Amari.Ranks;
using Amari.Serialization;
using Amari.Tests.Training;
using Amari.Training;
using Amari.Workloads;

namespace Amari.Tests.Serialization;

/// <summary>One process at a time writes to a folder of checkpoints.</summary>
public sealed class FolderLockTests : IDisposable
{
    private static readonly Dictionary<string, string> None = [];
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    private string LockFile => _folder.File(".lock");

    /// <summary>A lock is the open file's: one taken without <see cref="FolderLock"/> is as another process's.</summary>
    private FileStream Foreign(string owner)
    {
        var file = new FileStream(LockFile, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None, 0);
        file.SetLength(0);
        file.Write(System.Text.Encoding.UTF8.GetBytes(owner));
        return file;
    }

    [Fact]
    public void Another_process_is_refused_by_name_until_it_ends()
    {
        using (Foreign("process 7 on elsewhere"))
        {
            var e = Assert.Throws<FolderInUseException>(() => FolderLock.Take(_folder.Path));
            Assert.Contains($"'{_folder.Path}' is in use by process 7 on elsewhere", e.Message, StringComparison.Ordinal);
            using var directory = new CheckpointDirectory(_folder.Path);
            Assert.Throws<FolderInUseException>(() => directory.Save(1, new Dictionary<string, Tensor>(), None));
            using var trainer = new Trainer(new DigitsSoftmax(), null);
            Assert.Contains(
                "process 7",
                Assert
                    .Throws<ArgumentException>(() =>
                        trainer.Train(new("sgd", None), 0, Budget.OfEpochs(1), checkpoint: new(_folder.Path, false, TimeSpan.Zero))
                    )
                    .Message,
                StringComparison.Ordinal
            );
            Assert.Empty(_folder.Names());
        }
        Assert.True(File.Exists(LockFile));
        using (FolderLock.Take(_folder.Path))
            Assert.Throws<IOException>(() => Foreign("")); // the file that was left is no fault
        Assert.False(File.Exists(LockFile));
    }

    [Fact]
    public void Holders_of_one_process_share_but_runs_do_not()
    {
        using (var run = FolderLock.Take(_folder.Path, run: true))
        using (var directory = new CheckpointDirectory(_folder.Path))
        {
            directory.Save(1, new Dictionary<string, Tensor>(), None);
            Assert.Contains(
                "another run of this process",
                Assert.Throws<FolderInUseException>(() => FolderLock.Take(_folder.Path, run: true)).Message,
                StringComparison.Ordinal
            );
            run.Dispose();
            FolderLock.Take(_folder.Path, run: true).Dispose();
            Assert.Throws<IOException>(() => Foreign("")); // the directory holds it still
        }
        Foreign("").Dispose();
    }

    [Fact]
    public void A_folder_that_was_made_again_is_taken_again()
    {
        using var directory = new CheckpointDirectory(_folder.File("saved"));
        directory.Save(1, new Dictionary<string, Tensor>(), None);
        Directory.Delete(_folder.File("saved"), recursive: true);
        directory.Save(2, new Dictionary<string, Tensor>(), None);
        string file = Path.Combine(_folder.File("saved"), ".lock");
        Assert.Throws<IOException>(() => new FileStream(file, FileMode.Open, FileAccess.ReadWrite, FileShare.None));
        Directory.Delete(_folder.File("saved"), recursive: true);
        Directory.CreateDirectory(_folder.File("saved"));
        using (var other = new FileStream(file, FileMode.CreateNew, FileAccess.ReadWrite, FileShare.None, 0))
        {
            other.Write("somebody"u8);
            for (int time = 0; time < 2; time++)
                Assert.Contains(
                    "somebody",
                    Assert.Throws<FolderInUseException>(() => directory.Save(3, new Dictionary<string, Tensor>(), None)).Message,
                    StringComparison.Ordinal
                );
        }
        directory.Save(4, new Dictionary<string, Tensor>(), None);
        Assert.Equal("step-000000004.safetensors", Path.GetFileName(Assert.Single(Directory.GetFiles(_folder.File("saved"), "step-*"))));
    }
}
