/* flatnet agent: what `flatnet test cluster` runs inside of its probe pods. */
#include "agent.h"
#include "cli.h"
#include "json.h"
#include "mem.h"

#include <stdio.h>
#include <string.h>

static const struct cli_verb serve_verb = {
    .path = "agent serve",
    .args = "",
    .summary = "be a probe pod",
    .text = "For 'flatnet test cluster', which starts it in its pods.",
};

static const struct cli_verb probe_verb = {
    .path = "agent probe",
    .args = "QUESTION",
    .summary = "look at the network from here",
    .text = "For 'flatnet test cluster', which runs it in its pods. QUESTION is a JSON object.",
    .min_args = 1,
    .max_args = 1,
};

int cmd_agent_serve(int argc, char **argv)
{
    auto_err struct err *e = NULL;
    char **args;
    int count, r = cli_parse(&serve_verb, argc, argv, &args, &count, &e);

    if (r == 1)
        return EXIT_OK;
    if (r == 0)
        r = agent_serve(&e);
    return r < 0 ? cli_fail(&serve_verb, e) : EXIT_OK;
}

static int probe(const char *text, struct err **e)
{
    auto_json cJSON *question = NULL, *answer = NULL;
    auto_free char *printed = NULL;
    int r = json_parse(text, strlen(text), &question, e);

    if (r == 0)
        r = agent_answer(question, &answer, e);
    if (r < 0)
        return r;
    printed = json_print(answer);
    (void)printf("%s\n", printed);
    return 0;
}

int cmd_agent_probe(int argc, char **argv)
{
    auto_err struct err *e = NULL;
    char **args;
    int count, r = cli_parse(&probe_verb, argc, argv, &args, &count, &e);

    if (r == 1)
        return EXIT_OK;
    if (r == 0)
        r = probe(args[0], &e);
    return r < 0 ? cli_fail(&probe_verb, e) : EXIT_OK;
}
