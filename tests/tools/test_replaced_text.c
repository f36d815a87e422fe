/* A text, or a checkpoint to start from, that is replaced between planning and training: the id is
 * made from what was there first. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "harness/run/exit_status.h"
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
    "$LOCI run s.yaml --quiet && ID=$(ls out/runs)";

/* A command of the shell in the case's folder, true if it ends well; $LOCI is the program, $ID the
 * first run. */
static bool shell(const char *text)
{
    char command[3 * FILE_PATH_BYTES];
    snprintf(command, sizeof command,
             "cd '%s' && export LOCI='%s' LOCI_OUT=out LOCI_CACHE=cache && ID=$(ls -tr out/runs "
             "2>/dev/null | head -1); { %s; } >log 2>&1",
             test_folder(), test_program(), text);
    return system(command) == 0;
}

/* The run as it was when it was planned, and nothing trained. */
#define PLANNED(RUN)                                                                               \
    "cp out/runs/" RUN "/plan.json . && rm -r out/runs/" RUN " && mkdir out/runs/" RUN             \
    " && mv plan.json out/runs/" RUN

static void begin(void)
{
    EXPECT(shell(BEGIN), "a first run");
}

static void is_not_trained_on_another_text(void)
{
    if (!test_program()) return;
    begin();
    EXPECT(shell(PLANNED("$ID") " && cp text first && cp other text && "
                                "{ $LOCI worker out/runs/$ID; test $? = 1; } && "
                                "grep -q 'the text is another one' out/runs/$ID/status.json && "
                                "grep -q '\"kind\": *\"spec\"' out/runs/$ID/status.json && "
                                "! ls out/runs/$ID/checkpoint"),
           "another text was trained on");
    EXPECT(shell("cp first text && $LOCI run s.yaml --retry failed --quiet && "
                 "test $(ls out/runs | wc -l) = 1"),
           "the text was put back");
}

static void is_not_evaluated_on_another_text(void)
{
    if (!test_program()) return;
    begin();
    EXPECT(shell("sed -i -e 's/\"crc\"/\"was\"/' -e 's/\"context\": *0/\"context\": 8/' "
                 "out/runs/$ID/plan.json && grep -q '\"context\": 8' out/runs/$ID/plan.json && "
                 "wc -l <out/runs/$ID/evals.jsonl >before && cp other text && "
                 "{ $LOCI worker out/runs/$ID 2>said; test $? = 1; } && "
                 "grep -q 'the text is another one' said && "
                 "wc -l <out/runs/$ID/evals.jsonl | cmp - before && "
                 "grep -q '\"status\": *\"done\"' out/runs/$ID/status.json"),
           "another text was evaluated");
}

/* What was trained before it was replaced is gone on from, with the bits of a run in peace. */
static void is_not_kept_of_a_text_that_was_replaced_meanwhile(void)
{
    if (!test_program()) return;
    begin();
    EXPECT(shell("sed 's/{steps: 2}/{steps: 200}, checkpoint_seconds: 0/' s.yaml >m.yaml && "
                 "$LOCI run m.yaml --quiet --out calm && cp text first && "
                 "{ $LOCI run m.yaml --quiet --out wild & } && "
                 "until test -f wild/runs/*/checkpoint/manifest.json; do sleep 0.01; done && "
                 "cp other text && { wait; true; } && "
                 "grep -q 'the text was replaced while it was read' wild/runs/*/status.json && "
                 "cp first text && $LOCI run m.yaml --quiet --out wild --retry failed && "
                 "cmp calm/runs/*/checkpoint/model-200.safetensors "
                 "wild/runs/*/checkpoint/model-200.safetensors"),
           "what became of it");
}

/* Plans of earlier versions do not say which text it was. */
static void a_plan_of_before_is_taken_as_it_is(void)
{
    if (!test_program()) return;
    begin();
    EXPECT(shell(PLANNED("$ID") " && sed -i -e 's/\"crc\"/\"was\"/' "
                                "-e 's/\"corpus_hash\"/\"hash\"/' out/runs/$ID/plan.json && "
                                "cp other text && $LOCI worker out/runs/$ID"),
           "an earlier plan");
}

static void does_not_start_from_another_model(void)
{
    if (!test_program()) return;
    begin();
    EXPECT(shell("cp -r out/runs/$ID/checkpoint source && $LOCI run t.yaml --quiet && "
                 "sed 's/steps: 2/steps: 3/' s.yaml >longer.yaml && "
                 "$LOCI run longer.yaml --quiet --out long && "
                 "T=$(ls out/runs | grep -v $ID) && " PLANNED(
                     "$T") " && "
                           "rm -r source && cp -r long/runs/*/checkpoint source && "
                           "{ $LOCI worker out/runs/$T; test $? = 1; } && "
                           "grep -q 'the model of .* is another one' out/runs/$T/status.json && "
                           "! ls out/runs/$T/checkpoint"),
           "another model was started from");
}

extern const test_suite test_replaced_text;
const test_suite test_replaced_text = {
    "tools/replaced_text",
    {{"is_not_trained_on_another_text", is_not_trained_on_another_text},
     {"is_not_evaluated_on_another_text", is_not_evaluated_on_another_text},
     {"is_not_kept_of_a_text_that_was_replaced_meanwhile",
      is_not_kept_of_a_text_that_was_replaced_meanwhile},
     {"a_plan_of_before_is_taken_as_it_is", a_plan_of_before_is_taken_as_it_is},
     {"does_not_start_from_another_model", does_not_start_from_another_model},
     {0}}};
