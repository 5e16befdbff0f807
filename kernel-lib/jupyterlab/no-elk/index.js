/** Owns the absence of layouts: JupyterLab registers what it finds here with Mermaid. */
export default [];
