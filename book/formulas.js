// Draws the formulas of a page.
document.addEventListener("DOMContentLoaded", () => {
    for (const formula of document.querySelectorAll(".math")) {
        katex.render(formula.textContent, formula, { displayMode: formula.tagName === "DIV", throwOnError: false });
    }
});
