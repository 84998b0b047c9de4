namespace Amari.Workloads.Data;

/// <summary>The held-out loss of a linear model: what a network should beat.</summary>
/// <remarks>Ridge regression, and softmax regression with the same penalty by the bound of Böhning (1992), whose steps always reduce the
/// loss:
/// <code>
/// X : [n, d + 1] with a column of ones,   A = XᵀX + λ I,  λ = 1
/// numbers   W = A⁻¹ Xᵀ Y
/// classes   W ← W + (½ XᵀX + λ I)⁻¹ (Xᵀ (Y - softmax(X W)) - λ W)
/// </code></remarks>
internal static class LinearBaseline
{
    private const int MaxRows = 10_000, // of the training set
        Iterations = 100;
    private const double Ridge = 1;

    /// <summary>The mean loss of the held-out examples: half of the squared error, or the cross-entropy in nats.</summary>
    /// <param name="training">Inputs [n, d], targets [n, 1] or labels [n]. Not owned.</param>
    /// <param name="heldOut">The same. Not owned.</param>
    /// <param name="classes">Number of classes; 0 for numbers.</param>
    public static double Loss(Dataset training, Dataset heldOut, int classes)
    {
        using var off = no_grad();
        using var scope = NewDisposeScope();
        var rows = training.Sample(Math.Min(training.Count, MaxRows), seed: 0);
        var (x, test) = (WithOnes(rows.Inputs), WithOnes(heldOut.Inputs));
        var gram = x.T.mm(x);
        if (classes == 0)
        {
            var error = test.mm(Solve(gram, x.T.mm(rows.Targets.to_type(ScalarType.Float64)))).sub(heldOut.Targets);
            return error.square().mean().ToDouble() / 2;
        }
        var y = nn.functional.one_hot(rows.Targets, classes).to_type(ScalarType.Float64);
        var w = zeros(x.shape[1], classes, dtype: ScalarType.Float64);
        var inverse = Solve(gram.mul(0.5), eye(x.shape[1], dtype: ScalarType.Float64));
        for (int i = 0; i < Iterations; i++)
            w = w.add(inverse.mm(x.T.mm(y.sub(x.mm(w).softmax(1))).sub(w.mul(Ridge))));
        return nn.functional.cross_entropy(test.mm(w), heldOut.Targets).ToDouble();
    }

    /// <summary>The loss of the linear model, or that of the best constant where this is lower: where there is nothing to learn, or not
    /// enough data to learn it.</summary>
    /// <returns>The loss, and whether it is that of the constant.</returns>
    public static (double Loss, bool IsConstant) Better(Dataset training, Dataset heldOut, int classes)
    {
        using var off = no_grad();
        using var scope = NewDisposeScope();
        double constant;
        if (classes == 0)
            constant = heldOut.Targets.sub(training.Targets.mean()).square().mean().ToDouble() / 2;
        else
        {
            var counts = training.Targets.bincount(null, classes).to_type(ScalarType.Float64).add(1);
            double frequent = -counts.div(counts.sum()).log().index_select(0, heldOut.Targets).mean().ToDouble();
            constant = Math.Min(frequent, Math.Log(classes));
        }
        double linear = Loss(training, heldOut, classes);
        return constant < linear ? (constant, true) : (linear, false);
    }

    private static Tensor WithOnes(Tensor inputs) =>
        cat([inputs.to_type(ScalarType.Float64), ones(inputs.shape[0], 1, dtype: ScalarType.Float64)], dim: 1);

    private static Tensor Solve(Tensor gram, Tensor right) =>
        linalg.solve(gram.add(eye(gram.shape[0], dtype: ScalarType.Float64), alpha: Ridge), right);
}
