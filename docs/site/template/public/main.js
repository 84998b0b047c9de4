// The menu of MathJax offers speech that it would load from another host. Screen readers read the MathML next to each formula.
window.MathJax = { options: { enableMenu: false } };

export default {};
