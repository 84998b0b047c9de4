using Amari.Curvature;
using Amari.Distributed;
using Amari.Native;
using Amari.Serialization;

namespace Amari.Kronecker;

// From a gradient at a layer's output to sums over its examples.
internal sealed partial class Capture
{
    /// <summary>The extra backward passes: with g = a column of Λ^½ (exact; signed where terms are mixed) or the score of a draw
    /// (Monte-Carlo), Σ g g' makes the Fisher.</summary>
    private void Sample(ForwardPass pass, Tensor f, Tensor? counted)
    {
        using var scope = NewDisposeScope();
        long? start = Clock?.GetTimestamp();
        var output = Batch(f, pass).detach();
        long count = Kind == FisherKind.Exact ? _likelihood!.Outputs(output) : _settings().Samples;
        using var gradients = new KeptGradients(_model.parameters());
        using var alone = SuspendOthers(); // another estimate of the model is not to take these gradients for its loss's
        _sampled.Add(pass);
        using var library = Float32Products.OwnPass(Math.Max(pass.Examples, pass.Terms), _model.parameters(), _model);
        pass.NotFinite = !output.isfinite().all().ToBoolean();
        for (int i = 0; i < count && !pass.NotFinite; i++)
        {
            Draws++;
            pass.Sample = i;
            Tensor v;
            if (Kind == FisherKind.Exact)
                v = _likelihood!.FisherRootColumn(output, i, _generator, pass.Part);
            else
                v = _likelihood!.Draw(Kind, output, _generator, pass.Part).div_(Math.Sqrt(count));
            if (counted is not null)
                v.mul_(counted);
            ReverseMode.Propagate(f, pass.IsUnbatched ? v.squeeze(0) : v, _probe, again: true);
        }
        pass.Sample = -1;
        foreach (var use in _outstanding.Where(u => u.Pass == pass))
            use.Release();
        _outstanding.RemoveAll(u => u.Pass == pass);
        if (start is { } begun)
            Spent += Clock!.GetElapsedTime(begun);
        if (Failure is { } failure)
            throw Unmeasured(failure);
    }

    /// <summary>Measures with the given gradients at the output f of a pass, each term's own: the empirical Fisher without a training
    /// loss.</summary>
    private void Propagate(Tensor f, Tensor score)
    {
        using var gradients = new KeptGradients(_model.parameters());
        ReverseMode.Propagate(f, score, _probe);
        if (Failure is { } failure)
            throw Unmeasured(failure);
    }

    private static InvalidOperationException Unmeasured(Exception failure) =>
        new("K-FAC could not measure its factors: " + failure.Message, failure);

    /// <summary>The gradient at a layer's output has arrived, of a sample or of the training loss.</summary>
    private void Propagated(LayerUse use, Tensor g)
    {
        if (use.Pass.Confirmed is { } sums)
        {
            Guarded(() => sums.Add(use, g));
            return;
        }
        bool sampling = use.Pass.Sample >= 0;
        if (Failure is not null || (!sampling && !(FisherSettings.FromLoss(Kind) && IsOwnPass)) || use.Input.IsInvalid)
            return;
        Guarded(() =>
        {
            if (!sampling && LibTorch.KeepsGraph)
            {
                if (Kind != FisherKind.ForwardOnly || use.Gradient is null)
                    use.Hold(g);
            }
            else if (use.Gradient is { } held)
            {
                using var sum = held + g;
                Measure(use, sum);
            }
            else
                Measure(use, g);
        });
    }

    /// <summary>The gradient of the training loss has arrived at the model's output.</summary>
    private void Arrived(ForwardPass pass, Tensor g)
    {
        if (!IsOwnPass)
            return;
        Guarded(() =>
        {
            bool mayFollow = LibTorch.KeepsGraph;
            if (pass.Output is not null && !mayFollow)
                Hold(pass, g);
            if (pass.Input is not null)
                pass.Receive(g);
            Commit(pass, mayFollow);
        });
    }

    /// <summary>Nothing may be thrown across the native frames of a backward pass.</summary>
    private void Guarded(Action action)
    {
        try
        {
            using var off = no_grad();
            using var scope = NewDisposeScope();
            action();
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            Failure ??= e;
        }
    }

    /// <summary>Sums over one use with the gradient at its output: kept by the pass while it is sampled, accumulated in the block
    /// otherwise.</summary>
    private void Measure(LayerUse use, Tensor g)
    {
        var (block, pass) = (use.Block, use.Pass);
        if (use.IsJet)
            g = g.transpose(0, 1);
        Tensor x = Batch(use.IsJet ? use.Input.transpose(0, 1) : use.Input, pass);
        g = Batch(g, pass);
        bool byExample = use.IsJet || (x.dim() > (block.ExampleDimensions ?? 0) && !block.IsOfPositions(x));
        if (byExample)
            (x, g) = (OfRows(x, pass), OfRows(g, pass));
        if (block.HasMoved)
            block.To(x.device);
        long examples = pass.CountedExamples;
        bool sampling = pass.Sample >= 0;
        long? start = sampling ? null : Clock?.GetTimestamp();
        var settings = _settings();
        bool perExample = byExample && pass.Terms == (use.IsJet ? examples : x.shape[0]); // a jet may be of some of the examples
        long enough =
            settings.Decay is { } decay && !use.IsJet && _measured is null
                ? block.ExamplesFor(g, settings.WeightSharing, decay)
                : long.MaxValue;
        var (rows, gradients, none) = block.TakesExamples && byExample ? Some(x, g, settings.Examples, enough, pass) : (x, g, false);
        var sums = block.Measure(
            rows,
            gradients,
            new(
                pass.Sample <= 0,
                perExample,
                SharingOf(use, x, byExample, settings),
                settings.Corrected,
                Kind == FisherKind.ForwardOnly,
                settings.Precision,
                use.IsJet
            )
        ); // A once, not for every sample
        if (none || pass.Rows is [])
            sums = sums.Zeroed();
        if (Kind == FisherKind.Empirical && !use.IsJet && examples > 1 && SharesRows(block, x, byExample, pass))
            Report(
                block,
                "its input has fewer rows than the loss has terms: where terms share one, its empirical factors are of their sum"
            );
        if (sampling)
            pass.Keep(block, sums);
        else
        {
            block.Accumulate(sums);
            use.Release();
            if (start is { } begun)
                Spent += Clock!.GetElapsedTime(begun);
        }
    }

    /// <summary>Whether rows of an input probably belong to several terms of the loss: positions, or constants.</summary>
    private static bool SharesRows(CurvatureBlock block, Tensor x, bool byExample, ForwardPass pass) =>
        block.IsOfPositions(x)
        || (byExample && block.ExampleDimensions is { } own && x.shape[0] != pass.CountedExamples && Rows(x, own) < pass.Terms);

    private static long Rows(Tensor x, int own) => x.shape[..^own].Aggregate(1L, (a, b) => a * b);

    /// <summary>How positions are combined in this use: as asked for, where they are known to be one example's. What is not as asked for is
    /// reported.</summary>
    private WeightSharing SharingOf(LayerUse use, Tensor x, bool byExample, FisherSettings settings)
    {
        var (block, pass) = (use.Block, use.Pass);
        if (use.IsJet)
        {
            if (settings.WeightSharing == WeightSharing.Reduce)
                Report(block, "the components of a jet are expanded: they are not of one mean");
            return WeightSharing.Expand;
        }
        bool known = byExample && (x.shape[0] == pass.CountedExamples || x.shape[0] == pass.Terms),
            moments = block.JoinsPositions(settings with { WeightSharing = WeightSharing.Expand });
        bool joins =
            (moments && pass.Terms == pass.CountedExamples)
            || block.JoinsPositions(settings with { Corrected = false, Kind = FisherKind.ForwardOnly });
        if (joins && !known)
            Report(block, "examples are not the first dimension of its input: every position counts by itself");
        if (moments && pass.UsesOf(block) > 1)
            Report(block, "it is used several times in a pass: second moments are of each use by itself");
        return known ? settings.WeightSharing : WeightSharing.Expand;
    }

    private bool Report(CurvatureBlock block, string message)
    {
        bool isNew = _reported.Add((block.Name, message));
        if (isNew)
            Reports.Add((block.Name, message));
        return isNew;
    }

    /// <summary>Some examples of the batch of all ranks, as many as this one has of them: of the first ones, every k-th, so that an order
    /// of the batch does no harm. Their gradients are scaled so that Σ g g' still estimates the sum over all. None of them is one example,
    /// for shapes.</summary>
    /// <param name="x">Inputs, by example.</param>
    /// <param name="g">Gradients at the output, by example.</param>
    /// <param name="most">How many come first; null for all.</param>
    /// <param name="enough">How many of those suffice.</param>
    /// <param name="pass">What they are of.</param>
    private static (Tensor X, Tensor G, bool None) Some(Tensor x, Tensor g, long? most, long enough, ForwardPass pass)
    {
        long examples = pass.CountedExamples;
        var part = (pass.Rows is null ? pass.Part : null) ?? new(0, examples, examples); // those that count are this rank's own
        long first = Math.Min(most ?? long.MaxValue, part.Batch),
            stride = Math.Max(1, first / enough),
            taken = (first + stride - 1) / stride;
        if (taken == part.Batch || g.dim() < 2 || x.shape[0] != examples || g.shape[0] != examples)
            return (x, g, false);
        long begin = (stride - part.Start % stride) % stride,
            end = Math.Clamp(first - part.Start, 0, examples);
        bool none = begin >= end;
        return (Own(x), Own(g).mul(Math.Sqrt((double)part.Batch / taken)), none);

        Tensor Own(Tensor t) => none ? t.narrow(0, 0, 1) : t.slice(0, begin, end, stride);
    }
}
