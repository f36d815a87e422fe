/* A text, or a checkpoint to start from, that is replaced between planning and training: the id is
 * made from what was there first. */
#include "tests/support/program.h"
#include "tests/test.h"

/* A run that trains and one that starts from its checkpoint, wherever that lies. */
static const char BEGIN[] =
    "for i in $(seq 2000); do echo \"$i times $i, and that is that.\"; done >text && "
    "sed 's/that/this/g' text >other && "
    "cat >s.yaml <<'S'\n"
    "data: {corpus: text, path: text}\n"
    "model: {width: 16, context: 16, blocks: [{attention: {heads: 2}, ffn: {hidden: 32}}]}\n"
    "train: {budget: {steps: 2}, batch: 2}\n"
    "S\n"
    "{ cat s.yaml; echo 'init_from: {checkpoint: source}'; } >t.yaml && "
    "$LOCI run s.yaml --quiet";

/* The run as it was when it was planned, and nothing trained. */
#define PLANNED(RUN) "cp " RUN "/plan.json . && rm -r " RUN " && mkdir " RUN " && mv plan.json " RUN

static void begin(void)
{
    EXPECT(program_shell(BEGIN), "a first run");
}

static void is_not_trained_on_another_text(void)
{
    if (!test_program()) return;
    begin();
    EXPECT(program_shell(PLANNED("$RUN") " && cp text first && cp other text && "
                                         "{ $LOCI worker $RUN; test $? = 1; } && "
                                         "grep -q 'the text is another one' $RUN/status.json && "
                                         "grep -q '\"kind\": *\"spec\"' $RUN/status.json && "
                                         "! ls $RUN/checkpoint"),
           "another text was trained on");
    EXPECT(program_shell("cp first text && $LOCI run s.yaml --retry failed --quiet && "
                         "test $(ls out/runs | wc -l) = 1"),
           "the text was put back");
}

static void is_not_evaluated_on_another_text(void)
{
    if (!test_program()) return;
    begin();
    EXPECT(program_shell("sed -i -e 's/\"crc\"/\"was\"/' -e 's/\"context\": *0/\"context\": 8/' "
                         "$RUN/plan.json && grep -q '\"context\": 8' $RUN/plan.json && "
                         "wc -l <$RUN/evals.jsonl >before && cp other text && "
                         "{ $LOCI worker $RUN 2>said; test $? = 1; } && "
                         "grep -q 'the text is another one' said && "
                         "wc -l <$RUN/evals.jsonl | cmp - before && "
                         "grep -q '\"status\": *\"done\"' $RUN/status.json"),
           "another text was evaluated");
}

/* In place, byte over byte: a copy cuts the file off first, and a reader that comes then says that.
 */
#define OVERWRITE "dd if=other of=text conv=notrunc status=none"

/* A run that has far more steps than it makes: nothing here has to be quicker than it is. Replaced
 * when it has kept its third model, put back, gone on with and stopped; each model that it kept is
 * that of a run in peace. */
#define IN_PEACE(OPTIONS)                                                                          \
    "sed 's/{steps: 2}/{steps: 3000}, keep_every: 1, " OPTIONS "/' s.yaml >m.yaml && "             \
    "cp text first && "                                                                            \
    "start() { $LOCI run m.yaml --quiet --out $1 --retry failed & loci=$!; "                       \
    "until test -f $1/runs/*/checkpoint-$2/manifest.json || ! kill -0 $loci; "                     \
    "do sleep 0.01; done; } && "                                                                   \
    "stop() { kill -INT $loci; wait $loci; test $? = 75; } && "                                    \
    "start wild 3 && " OVERWRITE " && { wait $loci; test $? = 3; } && "                            \
    "grep -q 'the text was replaced while it was read' wild/runs/*/status.json && "                \
    "last=$(ls -d wild/runs/*/checkpoint-* | sed 's/.*-//' | sort -n | tail -n 1) && "             \
    "more=$((last + 10)) && cp first text && "                                                     \
    "start wild $more && stop && start calm $more && stop && "                                     \
    "(cd calm/runs/*/ && for i in $(seq $more); do "                                               \
    "sha256sum checkpoint-$i/model-$i.safetensors; done) >models && "                              \
    "test $(wc -l <models) = $more && cd wild/runs/*/ && sha256sum -c --quiet ../../../models"

/* What was trained before it was replaced is gone on from, with the bits of a run in peace. */
static void is_not_kept_of_a_text_that_was_replaced_meanwhile(void)
{
    if (!test_program()) return;
    begin();
    EXPECT(program_shell(IN_PEACE("checkpoint_seconds: 0")), "what became of it");
}

/* Nor is a model that is kept on the way, which would be left as it is when its step comes again.
 */
static void no_model_of_such_a_text_is_kept(void)
{
    if (!test_program()) return;
    begin();
    EXPECT(program_shell(IN_PEACE("checkpoint_seconds: 3600")), "what was kept");
}

/* What ends every run of a sweep is said once, with how many. */
static void is_said_once(void)
{
    if (!test_program()) return;
    begin();
    EXPECT(
        program_shell(
            "sed 's/{steps: 2}/{steps: 3000}, checkpoint_seconds: 0/' s.yaml >m.yaml && "
            "echo 'sweep: {seeds: 4}' >>m.yaml && "
            "{ $LOCI run m.yaml --jobs 1 --out wild 2>said & } && "
            "until test -f wild/runs/*/checkpoint/manifest.json; do sleep 0.01; done && " OVERWRITE
            " && { wait; true; } && cat said && "
            "test $(grep -c 'text is another one' said) = 1 && "
            "grep -q '^2 more failed for the same reason' said && "
            "grep -q '0 trained, 0 finished before, 4 failed' said && "
            "test $($LOCI compare m --out wild | grep -c 'failed: the same (run ') = 2"),
        "what was said of it");
}

/* Plans of earlier versions do not say which text it was. */
static void a_plan_of_before_is_taken_as_it_is(void)
{
    if (!test_program()) return;
    begin();
    EXPECT(program_shell(PLANNED("$RUN") " && sed -i -e 's/\"crc\"/\"was\"/' "
                                         "-e 's/\"corpus_hash\"/\"hash\"/' $RUN/plan.json && "
                                         "cp other text && $LOCI worker $RUN"),
           "an earlier plan");
}

static void does_not_start_from_another_model(void)
{
    if (!test_program()) return;
    begin();
    EXPECT(program_shell("cp -r $RUN/checkpoint source && $LOCI run t.yaml --quiet && "
                         "sed 's/steps: 2/steps: 3/' s.yaml >longer.yaml && "
                         "$LOCI run longer.yaml --quiet --out long && "
                         "T=$(ls -d out/runs/* | grep -v $RUN) && " PLANNED(
                             "$T") " && "
                                   "rm -r source && cp -r long/runs/*/checkpoint source && "
                                   "{ $LOCI worker $T; test $? = 1; } && "
                                   "grep -q 'the model of .* is another one' $T/status.json && "
                                   "! ls $T/checkpoint"),
           "another model was started from");
}

extern const test_suite test_replaced_text;
const test_suite test_replaced_text = {
    "tools/replaced_text",
    {{"is_not_trained_on_another_text", is_not_trained_on_another_text},
     {"is_not_evaluated_on_another_text", is_not_evaluated_on_another_text},
     {"is_not_kept_of_a_text_that_was_replaced_meanwhile",
      is_not_kept_of_a_text_that_was_replaced_meanwhile},
     {"is_said_once", is_said_once},
     {"no_model_of_such_a_text_is_kept", no_model_of_such_a_text_is_kept},
     {"a_plan_of_before_is_taken_as_it_is", a_plan_of_before_is_taken_as_it_is},
     {"does_not_start_from_another_model", does_not_start_from_another_model},
     {0}}};
