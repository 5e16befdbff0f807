/** Owns a repair of tslab's converter: `{ x }`, where `x` is an earlier cell's, means that x. */
import type ts from "@tslab/typescript-for-tslab";

type TypeScript = typeof ts;

/**
 * tslab writes `exports.x` for what earlier cells declare, wherever it is named but in a shorthand property. So each
 * shorthand whose name the cell itself does not declare becomes `x: "x" in exports ? exports.x : x`.
 */
export function namedInFull(typescript: TypeScript): ts.TransformerFactory<ts.SourceFile> {
  const { isShorthandPropertyAssignment, visitEachChild, visitNode } = typescript;
  return (context) => (file) => {
    const own = declaredNames(typescript, file);
    const visit = (node: ts.Node): ts.Node => {
      if (isPattern(typescript, node)) return node;
      if (isShorthandPropertyAssignment(node) && !node.objectAssignmentInitializer && !own.has(node.name.text)) {
        return inFull(typescript, context.factory, node.name.text);
      }
      return visitEachChild(node, visit, context);
    };
    return visitNode(file, visit) as ts.SourceFile;
  };
}

/** `{ x }` as what is assigned to: `({ x } = y)`, `for ({ x } of y)`. */
function isPattern(typescript: TypeScript, node: ts.Node): boolean {
  if (!typescript.isObjectLiteralExpression(node) && !typescript.isArrayLiteralExpression(node)) return false;
  const { parent } = node;
  if (!parent) return false;
  if (typescript.isBinaryExpression(parent)) {
    return parent.left === node && parent.operatorToken.kind === typescript.SyntaxKind.EqualsToken;
  }
  return (typescript.isForOfStatement(parent) || typescript.isForInStatement(parent)) && parent.initializer === node;
}

function inFull(typescript: TypeScript, factory: ts.NodeFactory, name: string): ts.PropertyAssignment {
  const exported = factory.createIdentifier("exports");
  const known = factory.createBinaryExpression(
    factory.createStringLiteral(name),
    factory.createToken(typescript.SyntaxKind.InKeyword),
    exported,
  );
  return factory.createPropertyAssignment(
    name,
    factory.createConditionalExpression(
      known,
      undefined,
      factory.createPropertyAccessExpression(exported, name),
      undefined,
      factory.createIdentifier(name),
    ),
  );
}

/** Every name that is declared anywhere in the cell, in whatever scope. */
function declaredNames(typescript: TypeScript, file: ts.SourceFile): ReadonlySet<string> {
  const names = new Set<string>();
  const visit = (node: ts.Node): void => {
    const { name } = node as { readonly name?: ts.Node };
    const declares =
      typescript.isVariableDeclaration(node) ||
      typescript.isParameter(node) ||
      typescript.isBindingElement(node) ||
      typescript.isFunctionLike(node) ||
      typescript.isClassLike(node) ||
      typescript.isImportSpecifier(node) ||
      typescript.isImportClause(node) ||
      typescript.isNamespaceImport(node) ||
      typescript.isEnumDeclaration(node);
    if (declares && name && typescript.isIdentifier(name)) names.add(name.text);
    typescript.forEachChild(node, visit);
  };
  visit(file);
  return names;
}
