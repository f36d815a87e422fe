#include "results/store/inspect_words.h"

#include "core/base/text.h"

#include <string.h>

/* Names are what the database has, what plots and claims ask for; words are for whoever reads the
 * page without the paper at hand. A figure that is not listed here is one that no claim can be
 * about. Figures of states have names made of the exchange and a figure
 * ("read.0_strength_by_block"), so they are known by their ends. */

static const struct {
    const char *part, *name, *words;
    /* The order of rows counts for a reader: many words lean on those of the row before ("when it
     * loses its last token"). */
} WORDS[] = {
    {"keys", "memories", "keys that the layer has, each with a value"},
    {"keys", "triggered", "keys that some prefix fired"},
    {"keys", "triggers_per_key", "prefixes kept of such a key: those that fire it most"},
    {"keys", "top_coefficient", "how strongly the strongest of them fires it, on average"},
    {"keys", "shared_last_token", "share of a key's triggers that end with the same token"},
    {"keys", "shared_last_2_tokens", "that end with the same two tokens"},
    {"keys", "shared_last_3_tokens", "that end with the same three tokens"},
    {"keys", "shared_last_word", "that end with the same word"},
    {"keys", "shared_topic_word", "that have the most common longer word somewhere in them"},
    {"keys", "without_first",
     "change of the coefficient when the sentence loses its first token; -1: all"},
    {"keys", "without_last", "when it loses its last token"},
    {"keys", "without_random", "when it loses one at random"},
    {"keys", "silent_alone",
     "triggers whose sentence by itself does not fire the key: left out above"},
    {"values", "agreement", "keys whose value names what followed their strongest trigger"},
    {"values", "agreement_by_chance", "what chance alone would give"},
    {"values", "rank_median", "place of what followed in the value's order of tokens; 0: first"},
    {"values", "rank_low", "the quarter of keys with the best places lies below this one"},
    {"values", "rank_high", "three quarters lie below this one"},
    {"values", "top_probability", "how sure a value is: the probability of its likeliest token"},
    {"values", "confidence", "the same in groups of equally many values, the least sure first"},
    {"values", "confidence_agreement", "agreement in these groups"},
    {"values", "precision_at",
     "of the triggers of so many surest values, those that the named token follows"},
    {"values", "most_confident_agree",
     "of the surest values, those whose token follows any of their triggers"},
    {"values", "most_confident_upper",
     "of those, the share that lies in the upper third of the layers"},
    {"composition", "active", "share of the memories that a prefix fires"},
    {"composition", "active_memories", "memories that a prefix fires"},
    {"composition", "zero_agreement",
     "prefixes where no value names the token that the layer's output names"},
    {"composition", "zero_agreement_active", "where none of those that fired names it"},
    {"composition", "zero_agreement_published_code",
     "where none of them names the token of the stream behind the layer"},
    {"composition", "agreeing_frequent",
     "of the other prefixes, those where the output names a frequent token"},
    {"composition", "agreeing_short", "of them, those of few tokens"},
    {"refinement", "residual_is_final",
     "prefixes where the stream before the layer names the last one's token"},
    {"refinement", "final_probability",
     "the probability there of the token that the model predicts"},
    {"refinement", "residual",
     "prefixes where the stream behind the layer names what it named before it"},
    {"refinement", "output", "where it names what the layer's output names"},
    {"refinement", "composition", "where it names something that neither of them names"},
    {"refinement", "agreement", "where all three name the same"},
    {"refinement", "final_is_prediction",
     "prefixes where the stream at the end names the model's prediction"},
    {"changes", "nats_unlearned", "loss per token without what was learned before it"},
    {"changes", "nats", "loss per token with it"},
    {"changes", "gain", "what learning gains: the difference"},
    {"changes", "gain_seen", "the gain where the text had the token before"},
    {"changes", "gain_new", "the gain where it had not"},
    {"changes", "seen", "share of tokens that the text had before"},
    {"changes", "helped", "share of tokens that learning helped"},
    {"changes", "moved", "probability that it moved to other tokens"},
    {"changes", "top_changed", "share of tokens where the likeliest one became another"},
    {"changes", "gain_by_position", "the gain by the position in the block, in equal parts of it"},
    {"changes", "gain_by_distance",
     "the gain by how much of the document was read before, in powers of two"},
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

/* Tens of rows, asked once for each figure of a page or a claim: a search from the beginning
 * does. */
const char *inspect_words(const char *part, const char *name)
{
    for (size_t i = 0; i < sizeof WORDS / sizeof *WORDS; i++) {
        if (strcmp(WORDS[i].part, part) == 0 && strcmp(WORDS[i].name, name) == 0) {
            return WORDS[i].words;
        }
    }
    for (size_t i = 0; strcmp(part, "states") == 0 && i < sizeof EXCHANGED / sizeof *EXCHANGED;
         i++) {
        if (text_ends(name, EXCHANGED[i].end)) return EXCHANGED[i].words;
    }
    return "";
}

/* For the nearest name in an error; of states the ends, as exchanges are called by the layers. */
int inspect_words_names(const char *names[INSPECT_WORDS], const char *part)
{
    int n = 0;
    for (size_t i = 0; i < sizeof WORDS / sizeof *WORDS && n < INSPECT_WORDS; i++) {
        if (strcmp(WORDS[i].part, part) == 0) names[n++] = WORDS[i].name;
    }
    for (size_t i = 0; strcmp(part, "states") == 0 && i < sizeof EXCHANGED / sizeof *EXCHANGED;
         i++) {
        names[n++] = EXCHANGED[i].end;
    }
    return n;
}
