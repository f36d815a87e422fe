#include "harness/inspect/figure_words.h"

#include "core/base/text.h"

#include <string.h>

/* Names are what the database has and plots ask for; words are for whoever reads the page without
 * the paper at hand. A name without words is shown alone. Figures of states have names made of the
 * exchange and a figure ("read.0_strength_by_block"), so they are known by their ends. */

static const struct {
    const char *name, *words;
} WORDS[] = {
    {"memories", "keys that the layer has, each with a value"},
    {"triggered", "keys that some prefix fired"},
    {"triggers_per_key", "prefixes kept of such a key: those that fire it most"},
    {"top_coefficient", "how strongly the strongest of them fires it, on average"},
    {"shared_last_token", "share of a key's triggers that end with the same token"},
    {"shared_last_2_tokens", "that end with the same two tokens"},
    {"shared_last_3_tokens", "that end with the same three tokens"},
    {"shared_last_word", "that end with the same word"},
    {"shared_topic_word", "that have the most common longer word somewhere in them"},
    {"without_first", "change of the coefficient when the sentence loses its first token; -1: all"},
    {"without_last", "when it loses its last token"},
    {"without_random", "when it loses one at random"},
    {"silent_alone", "triggers whose sentence by itself does not fire the key: left out above"},
    {"agreement", "keys whose value names what followed their strongest trigger"},
    {"agreement_by_chance", "what chance alone would give"},
    {"rank_median", "place of what followed in the value's order of tokens; 0: first"},
    {"rank_low", "the quarter of keys with the best places lies below this one"},
    {"rank_high", "three quarters lie below this one"},
    {"top_probability", "how sure a value is: the probability of its likeliest token"},
    {"confidence", "the same in groups of equally many values, the least sure first"},
    {"confidence_agreement", "agreement in these groups"},
    {"precision_at",
     "of the triggers of so many surest values, those that the named token follows"},
    {"most_confident_agree",
     "of the surest values, those whose token follows any of their triggers"},
    {"most_confident_upper", "of those, the share that lies in the upper third of the layers"},
    {"active", "share of the memories that a prefix fires"},
    {"active_memories", "memories that a prefix fires"},
    {"zero_agreement", "prefixes where no value names the token that the layer's output names"},
    {"zero_agreement_active", "where none of those that fired names it"},
    {"zero_agreement_published_code",
     "where none of them names the token of the stream behind the layer"},
    {"agreeing_frequent", "of the other prefixes, those where the output names a frequent token"},
    {"agreeing_short", "of them, those of few tokens"},
    {"residual_is_final", "prefixes where the stream before the layer names the last one's token"},
    {"final_probability", "the probability there of the token that the model predicts"},
    {"residual", "prefixes where the stream behind the layer names what it named before it"},
    {"output", "where it names what the layer's output names"},
    {"composition", "where it names something that neither of them names"},
    {"final_is_prediction", "prefixes where the stream at the end names the model's prediction"},
    {"nats_unlearned", "loss per token without what was learned before it"},
    {"nats", "loss per token with it"},
    {"gain", "what learning gains: the difference"},
    {"gain_seen", "the gain where the text had the token before"},
    {"gain_new", "the gain where it had not"},
    {"seen", "share of tokens that the text had before"},
    {"helped", "share of tokens that learning helped"},
    {"moved", "probability that it moved to other tokens"},
    {"top_changed", "share of tokens where the likeliest one became another"},
    {"gain_by_position", "the gain by the position in the block, in equal parts of it"},
    {"gain_by_distance", "the gain by how much of the document was read before, in powers of two"},
};

/* Behind the name of what is exchanged. */
static const struct {
    const char *end, *words;
} EXCHANGED[] = {
    {"_moved_by_block",
     "how far it moved the state, by the block of the document, in powers of two"},
    {"_strength_by_block", "its strength, by the block of the document, in powers of two"},
    {"_by_position", "by the position in the block"},
    {"_effective_places", "places that do anything in the whole text, in effect; all: evenly"},
    {"_effective", "in effect, places that a position reads, or positions that a place takes in"},
    {"_moved", "how far it moved the state"},
    {"_strength", "how strong it was"},
};

const char *figure_words(int part, const char *name)
{
    /* One name for two figures. */
    if (part == INSPECT_REFINEMENT && strcmp(name, "agreement") == 0) {
        return "where all three name the same";
    }
    for (size_t i = 0; i < sizeof WORDS / sizeof *WORDS; i++) {
        if (strcmp(WORDS[i].name, name) == 0) return WORDS[i].words;
    }
    for (size_t i = 0; i < sizeof EXCHANGED / sizeof *EXCHANGED; i++) {
        if (text_ends(name, EXCHANGED[i].end)) return EXCHANGED[i].words;
    }
    return "";
}
