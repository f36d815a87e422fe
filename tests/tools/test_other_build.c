/* A run under way that another build goes on with. */
#include "tests/support/program.h"
#include "tests/test.h"

/* One run that was killed when there was a checkpoint. */
static const char BEGIN[] =
    "cat >s.yaml <<'S'\n"
    "name: builds\n"
    "data: {corpus: markov, symbols: 8, tokens: 4000, held_out: 600}\n"
    "model: {width: 16, context: 16, blocks: [{attention: {heads: 2}, ffn: {hidden: 32}}]}\n"
    "train: {budget: {steps: 6}, batch: 2, checkpoint_seconds: 0}\n"
    "S\n"
    "{ LOCI_FAILPOINT=step:4 $LOCI run s.yaml --quiet || true; } && RUN=$(echo out/runs/*) && "
    "test -f $RUN/checkpoint/manifest.json && grep -q '\"from_step\": *0' $RUN/run.json";

static void of_another_precision_is_left_alone(void)
{
    if (!test_program()) return;
    EXPECT(program_shell(BEGIN), "a run under way");
    EXPECT(
        program_shell("sed -i -E 's/\"real\": *\"f..\"/\"real\": \"f16\"/; s/\"crc\"/\"was\"/' "
                      "$RUN/run.json && cp $RUN/status.json before && "
                      "{ $LOCI worker $RUN 2>said; test $? = 1; } && "
                      "grep -q 'a program that computes in f16, this one computes in f' said && "
                      "cmp before $RUN/status.json && $LOCI status builds | grep -q interrupted"),
        "it was gone on with");
}

/* What is recorded of a finished run is in its precision: an evaluation's id does not say which. */
static void of_another_precision_is_not_told_of(void)
{
    if (!test_program()) return;
    EXPECT(program_shell(BEGIN) && program_shell("$LOCI run s.yaml --quiet"), "a finished run");
    EXPECT(
        program_shell("sed -i -E 's/\"real\": *\"f..\"/\"real\": \"f16\"/; s/\"crc\"/\"was\"/' "
                      "$RUN/run.json && cp $RUN/evals.jsonl before && "
                      "for v in 'eval --split train' inspect; do { $LOCI $v $RUN 2>said; test $? "
                      "= 1; } && grep -q 'computes in f16, this one computes in f' said || "
                      "exit 1; done; cmp before $RUN/evals.jsonl && test ! -e $RUN/inspect"),
        "it was recorded");
    EXPECT(program_shell("$LOCI eval $RUN --corpus '{corpus: markov, symbols: 8, tokens: 4000, "
                         "held_out: 900}' && $LOCI eval $RUN/checkpoint && "
                         "cmp before $RUN/evals.jsonl"),
           "where nothing is recorded");
}

static void of_another_compiler_is_told(void)
{
    if (!test_program()) return;
    EXPECT(program_shell(BEGIN), "a run under way");
    EXPECT(program_shell("sed -i -E 's/\"compiler\": *\"[^\"]*\"/\"compiler\": \"tcc\"/; "
                         "s/\"crc\"/\"was\"/' $RUN/run.json && $LOCI run s.yaml --quiet && "
                         "test $(grep -c '\"from_step\"' $RUN/run.json) = 2 && "
                         "$LOCI compare builds | grep -q 'by several builds in turn (f.., tcc; f'"),
           "nothing is said of it");
}

/* The beginning of a longer one is computed by who computed the shorter. */
static void of_a_shorter_run_is_told(void)
{
    if (!test_program()) return;
    EXPECT(program_shell(BEGIN), "a run under way");
    EXPECT(
        program_shell("echo 'schedule: {kind: constant}' >>s.yaml && $LOCI run s.yaml --quiet && "
                      "SHORT=$(ls -t out/runs | head -1) && "
                      "sed -i -E 's/\"compiler\": *\"[^\"]*\"/\"compiler\": \"tcc\"/; "
                      "s/\"crc\"/\"was\"/' out/runs/$SHORT/run.json && "
                      "$LOCI run s.yaml --quiet --set train.budget.steps=8 && "
                      "$LOCI compare builds | grep -q 'by several builds in turn (f.., tcc; f'"),
        "nothing is said of it");
}

extern const test_suite test_other_build;
const test_suite test_other_build = {
    "tools/other_build",
    {{"of_another_precision_is_left_alone", of_another_precision_is_left_alone},
     {"of_another_precision_is_not_told_of", of_another_precision_is_not_told_of},
     {"of_another_compiler_is_told", of_another_compiler_is_told},
     {"of_a_shorter_run_is_told", of_a_shorter_run_is_told},
     {0}}};
