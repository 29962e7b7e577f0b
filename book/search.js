// How Sphinx's search weighs what it finds: its own numbers, and of equal hits the notebooks first.
var Scorer = {
    score: ([page, , , , score]) => score + (page.startsWith("notebooks/") ? 1 : 0),
    objNameMatch: 11,
    objPartialMatch: 6,
    objPrio: { 0: 15, 1: 5, 2: -5 },
    objPrioDefault: 0,
    title: 15,
    partialTitle: 7,
    term: 5,
    partialTerm: 2,
};
