namespace Amari.Tests.Optimizers;

/// <summary>Muon, LAMB, Adafactor, Schedule-Free, SOAP, Shampoo: options, coverage, and what they come to at degenerate settings.</summary>
public sealed class ModernTests
{
    private static readonly long[][] Shapes = [[6, 5], [7]];

    private static double[] Run(Func<ParameterSource, Optimizer> make, ScalarType type = ScalarType.Float64, int steps = 12, long[][]? shapes = null)
    {
        var p = Problem.Parameters(shapes ?? Shapes, type);
        using var o = make(new(p));
        for (int step = 0; step < steps; step++)
        {
            Problem.SetGradients(p, step);
            o.step();
        }
        return Problem.Values(p);
    }

    private sealed record ParameterSource(Parameter[] Parameters)
    {
        public IEnumerable<ParameterGroup<T>> Groups<T>(T options) where T : OptimizerOptions => [ParameterGroup.Of(Parameters, options)];
    }

    private static void AllDiffer<T>(Func<IEnumerable<ParameterGroup<T>>, Optimizer> make, params T[] options) where T : OptimizerOptions
    {
        var runs = options.Select(o => Run(s => make(s.Groups(o)))).ToArray();
        for (int i = 0; i < runs.Length; i++)
            for (int k = 0; k < i; k++) Assert.NotEqual(runs[k], runs[i]);
    }

    private static void Near(double[] expected, double[] actual, double tolerance)
    {
        Assert.Equal(expected.Length, actual.Length);
        foreach (var (e, a) in expected.Zip(actual)) Assert.InRange(a, e - tolerance, e + tolerance);
    }

    [Fact]
    public void Each_option_of_Muon_changes_the_trajectory() => AllDiffer(g => new Muon(g), new Muon.Options(), new() { LearningRate = 0.1 },
        new() { Momentum = 0.5 }, new() { Nesterov = false }, new() { Iterations = 3 }, new() { Precision = ProductPrecision.BFloat16 }, new() { WeightDecay = 0.1 }, new() { Cautious = true },
        new() { Orthogonalise = false },
        new() { FallbackScale = 0.2 }, new() { Beta1 = 0.5 }, new() { Beta2 = 0.5 }, new() { Epsilon = 0.1 });

    [Fact]
    public void Each_option_of_Lamb_changes_the_trajectory() => AllDiffer(g => new Lamb(g), new Lamb.Options(), new() { LearningRate = 0.1 },
        new() { Beta1 = 0.5 }, new() { Beta2 = 0.5 }, new() { Epsilon = 0.1 }, new() { WeightDecay = 0.1 }, new() { DecoupledDecay = true },
        new() { BiasCorrection = false }, new() { MaxWeightNorm = 0.5 });

    [Fact]
    public void Each_option_of_Adafactor_changes_the_trajectory() => AllDiffer(g => new Adafactor(g), new Adafactor.Options(), new() { LearningRate = 0.1 },
        new() { DecayPower = 0.5 }, new() { LeastScale = 10 }, new() { ClipThreshold = 0.5 }, new() { WeightDecay = 0.1 });

    [Fact]
    public void Newton_Schulz_follows_the_reference()
    {
        var trace = GoldenTests.Read("newton_schulz");
        foreach (var item in trace["cases"]!.AsArray())
        {
            using var input = GoldenTests.ToTensor(item!["input"]!, ScalarType.Float64);
            using var result = Muon.Orthogonal(input, (int)trace["steps"]!);
            using var expected = GoldenTests.ToTensor(item["output"]!, ScalarType.Float64);
            Near(Problem.Values([expected]), Problem.Values([result]), 1e-12);
        }
    }

    /// <summary>Every singular value s, by a decomposition, goes to that of s / ‖M‖ under s ← a s + b s³ + c s⁵.</summary>
    [Theory, InlineData(270, 330), InlineData(600, 270), InlineData(260, 260), InlineData(7, 40), InlineData(40, 7)]
    public void Newton_Schulz_maps_singular_values(long rows, long columns)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(1);
        var full = randn([rows, columns], dtype: ScalarType.Float64, generator: generator);
        var short5 = randn([rows, 5], dtype: ScalarType.Float64, generator: generator).mm(randn([5, columns], dtype: ScalarType.Float64, generator: generator));
        foreach (var (matrix, single, half) in new[] { (full, 1e-4, 0.1), (short5, 1e-2, 1) })    // in bfloat16 what has no singular value grows from rounding
            foreach (int iterations in new[] { 1, 5, 12 })
            {
                var (u, s, vh) = linalg.svd(matrix, fullMatrices: false);
                s = s.where(s > 1e-10 * s.max(), zeros_like(s)).div_(matrix.norm() + 1e-7);
                for (int i = 0; i < iterations; i++) s = 3.4445 * s - 4.7750 * s.pow(3) + 2.0315 * s.pow(5);
                var expected = u.mul(s).mm(vh);
                double Error(Tensor actual) => (actual.to_type(ScalarType.Float64).sub(expected).norm() / expected.norm()).ToDouble();
                Assert.InRange(Error(Muon.Orthogonal(matrix, iterations)), 0, 1e-8);
                if (iterations > 5 && half == 1) continue;                                        // nor do float32's last bits stay small
                Assert.InRange(Error(Muon.Orthogonal(matrix.to_type(ScalarType.Float32), iterations)), 0, single);
                var shorter = Muon.Orthogonal(matrix.to_type(ScalarType.Float32), iterations, ProductPrecision.BFloat16);
                Assert.Equal(ScalarType.Float32, shorter.dtype);
                Assert.InRange(Error(shorter), 1e-4, half);
            }
    }

    [Fact]
    public void Muon_tells_when_it_iterates_in_bfloat16()
    {
        var p = Problem.Parameters([[6, 5], [7]]);
        using var o = new Muon([new([("w", p[0]), ("b", p[1])], new() { Precision = ProductPrecision.BFloat16 })]);
        Assert.Equal(["a matrix, in bfloat16", "not a matrix"], o.Coverage.Rows.Select(r => r.Reason));
    }

    [Fact]
    public void Muon_moves_along_an_orthogonal_gradient()
    {
        using var scope = NewDisposeScope();
        var q = linalg.qr(Problem.Parameters([[5, 5]], ScalarType.Float64)[0].detach()).Q;
        double s = 1 / Math.Sqrt(5);                              // the singular values of Q / ‖Q‖, which all go the same way
        for (int i = 0; i < 5; i++) s = s * (3.4445 + s * s * (-4.7750 + s * s * 2.0315));
        var w = nn.Parameter(zeros(5, 5, dtype: ScalarType.Float64));
        w.grad = q;
        using var o = new Muon([ParameterGroup.Of([w], new Muon.Options() { LearningRate = 1 })]);
        o.step();
        Near(Problem.Values([q.mul(-s)]), Problem.Values([w]), 1e-6);
    }

    [Fact]
    public void Muon_leaves_vectors_and_unwanted_matrices_to_AdamW()
    {
        var p = Problem.Parameters([[6, 5], [7], [4, 3, 3, 3]]);
        using var o = new Muon([new([("w", p[0]), ("b", p[1]), ("k", p[2])], new())]);
        Assert.Equal(["Muon", "AdamW", "Muon"], o.Coverage.Rows.Select(r => r.Block));
        Near(Run(s => new AdamW(s.Groups(new AdamW.Options() { LearningRate = 1e-3, Beta2 = 0.95, WeightDecay = 0 }))),
            Run(s => new Muon(s.Groups(new Muon.Options() { Orthogonalise = false }))), 1e-14);
    }

    [Fact]
    public void Adafactor_of_rank_one_squares_is_the_whole_second_moment()
    {
        using var scope = NewDisposeScope();
        var a = tensor(new double[] { 1, 2, 3 });
        var b = tensor(new double[] { 0.5, -2 });
        var w = nn.Parameter(ones(3, 2, dtype: ScalarType.Float64));
        w.grad = a.outer(b);
        using var o = new Adafactor([ParameterGroup.Of([w], new Adafactor.Options())]);
        o.step();
        Near(Problem.Values([1 - 0.01 * b.sign().expand(3, 2)]), Problem.Values([w]), 1e-12);   // u = sign(g), RMS(w) = 1
        Assert.Equal(5 * sizeof(double), o.StateBytes);
    }

    [Fact]
    public void Lamb_moves_a_layer_by_a_share_of_its_norm()
    {
        var p = Problem.Parameters([[6, 5]], ScalarType.Float64);
        using var before = p[0].detach().clone();
        Problem.SetGradients(p, 1);
        using var o = new Lamb([ParameterGroup.Of(p, new Lamb.Options() { LearningRate = 0.01 })]);
        o.step();
        using var moved = (p[0] - before).norm();
        using var norm = before.norm();
        Assert.Equal(0.01 * norm.ToDouble(), moved.ToDouble(), 1e-12);
    }

    [Fact]
    public void Each_option_of_ScheduleFree_changes_the_trajectory() => AllDiffer(g => new ScheduleFree(g), new ScheduleFree.Options(), new() { LearningRate = 0.1 },
        new() { Base = ScheduleFreeBase.Sgd }, new() { Interpolation = 0.5 }, new() { Beta2 = 0.5 }, new() { Epsilon = 0.1 }, new() { WeightDecay = 0.1 },
        new() { WarmupSteps = 5 }, new() { WarmupSteps = 5, RatePower = 0 }, new() { AveragingPower = 1 });

    [Fact]
    public void Each_option_of_Soap_changes_the_trajectory() => AllDiffer(g => new Soap(g), new Soap.Options(), new() { LearningRate = 0.1 },
        new() { Beta1 = 0.5 }, new() { Beta2 = 0.5 }, new() { FactorDecay = 0.5 }, new() { Epsilon = 0.1 }, new() { WeightDecay = 0.1 },
        new() { RefreshInterval = 2 }, new() { MaxDimension = 5 }, new() { MaxDimension = 0 });

    [Fact]
    public void Each_option_of_Shampoo_changes_the_trajectory() => AllDiffer(g => new Shampoo(g), new Shampoo.Options(), new() { LearningRate = 0.1 },
        new() { Beta1 = 0.5 }, new() { Beta2 = 0.5 }, new() { Epsilon = 0.1 }, new() { WeightDecay = 0.1 }, new() { Grafting = Grafting.None },
        new() { Grafting = Grafting.Sgd }, new() { GraftingEpsilon = 0.1 }, new() { RefreshInterval = 2 }, new() { StartStep = 4 }, new() { BlockSize = 3 });

    [Fact]
    public void Grafted_Shampoo_without_preconditioning_is_Adam() => Near(
        Run(s => new Adam(s.Groups(new Adam.Options() { LearningRate = 0.01, Beta2 = 0.99 }))),
        Run(s => new Shampoo(s.Groups(new Shampoo.Options() { LearningRate = 0.01, StartStep = 100 }))), 1e-12);

    /// <summary>The basis of a side of one is a number, ±1.</summary>
    [Fact]
    public void Soap_of_a_row_whose_longer_side_has_no_basis_is_Adam() => SoapIsAdam([[1, 9]], new() { MaxDimension = 1, Epsilon = 1e-15, WeightDecay = 0 });

    [Fact]
    public void Shampoo_grafted_from_the_momentum_without_preconditioning_is_the_momentum()
    {
        double[] w = Problem.Values(Problem.Parameters([[6, 5]], ScalarType.Float64)), m = new double[30];
        for (int t = 1; t <= 12; t++)
        {
            var p = Problem.Parameters([[6, 5]], ScalarType.Float64);
            Problem.SetGradients(p, t - 1);
            double[] g = Problem.Values([p[0].grad!]);
            for (int i = 0; i < 30; i++)
            {
                m[i] = 0.9 * m[i] + 0.1 * g[i];
                w[i] -= 0.01 * m[i] / (1 - Math.Pow(0.9, t));
            }
        }
        Near(w, Run(s => new Shampoo(s.Groups(new Shampoo.Options() { LearningRate = 0.01, Grafting = Grafting.Sgd, StartStep = 100 })), shapes: [[6, 5]]), 1e-12);
    }

    /// <summary>The gradients do not depend on where they are taken: z is SGD, x the mean of its iterates, y between the two.</summary>
    [Fact]
    public void ScheduleFree_averages_the_iterates_of_SGD()
    {
        var (free, plain) = (Problem.Parameters(Shapes, ScalarType.Float64), Problem.Parameters(Shapes, ScalarType.Float64));
        using var a = new ScheduleFree([ParameterGroup.Of(free, new ScheduleFree.Options() { Base = ScheduleFreeBase.Sgd, LearningRate = 0.1, Interpolation = 0.3 })]);
        using var b = new Sgd([ParameterGroup.Of(plain, new Sgd.Options() { LearningRate = 0.1, Momentum = 0 })]);
        var sum = new double[37];
        for (int step = 1; step <= 12; step++)
        {
            Problem.SetGradients(free, step);
            Problem.SetGradients(plain, step);
            a.step();
            b.step();
            double[] z = Problem.Values(plain);
            for (int i = 0; i < sum.Length; i++) sum[i] += z[i];
            Near([.. z.Zip(sum, (last, total) => 0.7 * last + 0.3 * total / step)], Problem.Values(free), 1e-12);
        }
        a.Eval();
        Near([.. sum.Select(v => v / 12)], Problem.Values(free), 1e-12);
    }

    [Fact]
    public void Shampoo_s_first_step_is_the_orthogonal_factor_of_the_gradient()
    {
        using var scope = NewDisposeScope();
        var p = Problem.Parameters([[6, 5]], ScalarType.Float64);
        var before = p[0].detach().clone();
        Problem.SetGradients(p, 1);
        using var o = new Shampoo([ParameterGroup.Of(p, new Shampoo.Options() { LearningRate = 1, Grafting = Grafting.None, Epsilon = 1e-12 })]);
        o.step();
        var (u, _, vh) = linalg.svd(p[0].grad!, fullMatrices: false);   // (g g')^(-1/4) g (g' g)^(-1/4) = U V'
        Near(Problem.Values([before - u.mm(vh)]), Problem.Values(p), 1e-8);
    }

    [Fact]
    public void Grafting_keeps_the_length_of_Adam_s_step_block_by_block()
    {
        var p = Problem.Parameters([[6, 5]], ScalarType.Float64);
        using var before = p[0].detach().clone();
        Problem.SetGradients(p, 1);
        using var o = new Shampoo([ParameterGroup.Of(p, new Shampoo.Options() { LearningRate = 1, BlockSize = 3 })]);
        o.step();
        using var scope = NewDisposeScope();
        foreach (var (row, rows) in new[] { (0, 3), (3, 3) })     // Adam's first step is the sign of the gradient
            foreach (var (column, columns) in new[] { (0, 3), (3, 2) })
                Assert.Equal(Math.Sqrt(rows * columns), (p[0] - before).narrow(0, row, rows).narrow(1, column, columns).norm().ToDouble(), 1e-6);
    }

    [Fact]
    public void Shampoo_s_blocks_are_matrices_of_their_own()
    {
        Parameter[] whole = Problem.Parameters([[6, 5]], ScalarType.Float64);
        var options = new Shampoo.Options() { Grafting = Grafting.None, Epsilon = 1e-3, BlockSize = 4, RefreshInterval = 1 };
        Parameter[] part = [nn.Parameter(whole[0].detach().narrow(0, 4, 2).narrow(1, 4, 1).clone())];
        using var a = new Shampoo([ParameterGroup.Of(whole, options)]);
        using var b = new Shampoo([ParameterGroup.Of(part, options)]);
        for (int step = 0; step < 5; step++)
        {
            Problem.SetGradients(whole, step);
            part[0].grad = whole[0].grad!.narrow(0, 4, 2).narrow(1, 4, 1).clone();
            a.step();
            b.step();
        }
        Near(Problem.Values(part), Problem.Values([whole[0].narrow(0, 4, 2).narrow(1, 4, 1)]), 1e-10);
    }

    [Fact]
    public void Shampoo_tells_of_a_failed_root_and_goes_on()
    {
        var p = Problem.Parameters([[3, 3]]);
        p[0].grad = full([3, 3], 1e30f);                          // its square is not finite
        using var o = new Shampoo([new([("w", p[0])], new() { Grafting = Grafting.Sgd })]);
        o.step();
        var told = Assert.Single(o.Events);
        Assert.Equal((1, "w"), (told.Step, told.Subject));
        Assert.Contains("2 times", told.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Soap_in_the_identity_basis_is_Adam_from_the_second_gradient_on() => SoapIsAdam(Shapes, new() { MaxDimension = 0, Epsilon = 1e-15, WeightDecay = 0 });

    private static void SoapIsAdam(long[][] shapes, Soap.Options options)
    {
        var (soap, adam) = (Problem.Parameters(shapes, ScalarType.Float64), Problem.Parameters(shapes, ScalarType.Float64));
        using var a = new Soap([ParameterGroup.Of(soap, options)]);
        using var b = new Adam([ParameterGroup.Of(adam, new Adam.Options() { LearningRate = 3e-3, Beta1 = 0.95, Beta2 = 0.95, Epsilon = 1e-15 })]);
        for (int step = 0; step < 12; step++)
        {
            Problem.SetGradients(soap, step);
            Problem.SetGradients(adam, step);
            a.step();
            if (step > 0) b.step();
        }
        Near(Problem.Values(adam), Problem.Values(soap), 1e-12);
    }

    [Fact]
    public void ScheduleFree_s_average_follows_the_reference()
    {
        var trace = GoldenTests.Read("schedulefree_adamw");
        var p = trace["params0"]!.AsArray().Select(x => nn.Parameter(GoldenTests.ToTensor(x!, ScalarType.Float64))).ToArray();
        using var o = new ScheduleFree([ParameterGroup.Of(p, new ScheduleFree.Options() { LearningRate = 0.02, Beta2 = 0.99, WarmupSteps = 4, WeightDecay = 0.01 })]);
        for (int t = 0; t < 20; t++)
        {
            for (int i = 0; i < p.Length; i++) p[i].grad = GoldenTests.ToTensor(trace["grads"]![t]![i]!, ScalarType.Float64);
            o.step();
        }
        var training = Problem.Values(p);
        o.Eval();
        Near([.. trace["params_eval"]!.AsArray().SelectMany(x => x!["data"]!.AsArray().Select(v => (double)v!))], Problem.Values(p), 1e-12);
        Assert.Throws<InvalidOperationException>(() => o.step());
        o.Train();
        Assert.Equal(training, Problem.Values(p));
    }

    [Theory, InlineData(ScalarType.Float32), InlineData(ScalarType.BFloat16)]
    public void ScheduleFree_s_evaluations_and_resumptions_do_not_change_the_run(ScalarType type)
    {
        Parameter[] straight = Problem.Parameters(Shapes, type), disturbed = Problem.Parameters(Shapes, type);
        using var a = new ScheduleFree([ParameterGroup.Of(straight, new ScheduleFree.Options() { LearningRate = 0.1 })]);
        var b = new ScheduleFree([ParameterGroup.Of(disturbed, new ScheduleFree.Options() { LearningRate = 0.1 })]);
        for (int step = 0; step < 8; step++)
        {
            foreach (var (o, p) in new[] { (a, straight), (b, disturbed) })
            {
                Problem.SetGradients(p, step);
                o.step();
            }
            b.Eval();
            Assert.NotEqual(step > 0, Problem.Values(straight).SequenceEqual(Problem.Values(disturbed)));   // after one step x = z = y
            if (step % 3 == 0)
            {
                var next = new ScheduleFree([ParameterGroup.Of(disturbed, new ScheduleFree.Options())]);
                next.Restore(b.Snapshot());
                Assert.True(next.Evaluating);
                b.Dispose();
                b = next;
            }
            b.Train();
            Assert.Equal(a.StateBytes, b.StateBytes);
        }
        Assert.Equal(Problem.Values(straight), Problem.Values(disturbed));
        b.Dispose();
    }

    [Fact]
    public void ScheduleFree_s_modes_follow_the_model_and_cannot_be_forgotten()
    {
        using var model = nn.Linear(4, 3);
        using var x = randn(8, 4);
        using var o = new ScheduleFree(model, new() { LearningRate = 0.1 });
        for (int step = 0; step < 5; step++)
        {
            o.zero_grad();
            using var loss = model.call(x).square().mean();
            loss.backward();
            o.step();
        }
        var training = Problem.Values(model.parameters());
        model.eval();
        model.call(x).Dispose();
        Assert.True(o.Evaluating);
        Assert.NotEqual(training, Problem.Values(model.parameters()));
        Assert.Throws<InvalidOperationException>(() => o.step());
        model.train();
        using (no_grad()) model.call(x).Dispose();                // statistics of BatchNorm at x
        Assert.True(o.Evaluating);
        model.call(x).Dispose();
        Assert.False(o.Evaluating);
        Assert.Equal(training, Problem.Values(model.parameters()));
        o.step();
        Assert.Empty(o.Events);
        using (no_grad()) model.call(x).Dispose();
        var told = Assert.Single(o.Events);
        Assert.Contains("not of the average x", told.Message, StringComparison.Ordinal);
        Assert.Equal(6, told.Step);
    }

    [Fact]
    public void ScheduleFree_follows_the_module_of_its_groups_and_tells_when_it_has_none()
    {
        using var model = nn.Linear(4, 3);
        using var x = randn(8, 4);
        using var followed = new ScheduleFree([ParameterGroup.Of(model, new ScheduleFree.Options())]);
        model.eval();
        model.call(x).Dispose();
        Assert.True(followed.Evaluating);
        Assert.Empty(followed.Events);
        using var alone = new ScheduleFree([ParameterGroup.Of(model.parameters(), new ScheduleFree.Options())]);
        Assert.Contains("call Eval()", Assert.Single(alone.Events).Message, StringComparison.Ordinal);
    }

    /// <summary>The authors' C-AdamW and C-Lion, number by number.</summary>
    [Theory, InlineData(true), InlineData(false)]
    public void Cautious_steps_follow_the_authors_formulas(bool adam)
    {
        const double Rate = 0.02, Decay = 0.1;
        double[] w = Problem.Values(Problem.Parameters([[30]], ScalarType.Float64)), m = new double[30], v = new double[30];
        for (int t = 1; t <= 12; t++)
        {
            var p = Problem.Parameters([[30]], ScalarType.Float64);
            Problem.SetGradients(p, t - 1);
            double[] g = Problem.Values([p[0].grad!]), u = new double[30];
            for (int i = 0; i < 30; i++)
            {
                if (adam)
                {
                    (m[i], v[i]) = (0.9 * m[i] + 0.1 * g[i], 0.999 * v[i] + 0.001 * g[i] * g[i]);
                    u[i] = m[i] / (1 - Math.Pow(0.9, t)) / (Math.Sqrt(v[i] / (1 - Math.Pow(0.999, t))) + 1e-8);
                }
                else (u[i], m[i]) = (Math.Sign(0.9 * m[i] + 0.1 * g[i]), 0.99 * m[i] + 0.01 * g[i]);
            }
            int agree = u.Zip(g).Count(x => x.First * x.Second > 0);
            if (t == 1) Assert.Equal(30, agree);
            for (int i = 0; i < 30; i++) w[i] = (1 - Rate * Decay) * w[i] - (u[i] * g[i] > 0 ? Rate * u[i] * 30 / agree : 0);
        }
        Near(w, Run(s => adam
            ? new AdamW(s.Groups(new AdamW.Options() { LearningRate = Rate, WeightDecay = Decay, Cautious = true }))
            : new Lion(s.Groups(new Lion.Options() { LearningRate = Rate, WeightDecay = Decay, Cautious = true })), shapes: [[30]]), 1e-12);
    }

    [Fact]
    public void Cautious_Muon_moves_nothing_against_its_gradient_and_keeps_the_mean_of_a_row_of_signs()
    {
        var p = Problem.Parameters([[6, 5]], ScalarType.Float64);
        using var o = new Muon([ParameterGroup.Of(p, new Muon.Options() { Cautious = true })]);
        using var plain = new Muon([ParameterGroup.Of(Problem.Parameters([[6, 5]], ScalarType.Float64), new Muon.Options())]);
        for (int step = 0; step < 6; step++)
        {
            using var scope = NewDisposeScope();
            using var before = p[0].detach().clone();
            foreach (var q in new[] { p, [.. plain.parameters()] }) Problem.SetGradients(q, step);
            var old = plain.parameters().Single().detach().clone();
            o.step();
            plain.step();
            var (moved, free) = (before - p[0].detach(), old - plain.parameters().Single().detach());
            Assert.True((moved * p[0].grad!).ge(0).all().ToBoolean());
            double agree = (free * p[0].grad!).gt(0).to_type(ScalarType.Float64).mean().ToDouble();
            Near(Problem.Values([where((free * p[0].grad!).gt(0), free / agree, zeros_like(free))]), Problem.Values([moved]), 1e-12);
        }
    }
}
